"""`mlxk2 run`: one prompt and its answer, printed as it is made; without a prompt, a chat."""

import json
import re
import time
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2.domain.usecases.run_model import RunOptions, RunSession, describe
from mlxk2.entrypoints.cli.answering import View, view_of
from mlxk2.entrypoints.cli.asking import asked, is_chat
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.errors import fail
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.streaming import events
from mlxk2.ports.errors import OperationError, Overloaded, ValidationError
from mlxk2.ports.generation import FinishReason

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.records.answers import RunData

_ALREADY_SAID = re.compile(r"^The [\w ]+ cannot be used: (at \d+\(\d+\): )?(failed to compile JSON schema: )?")
"""What an engine says before it says what is wrong; a place is one in the grammar that it makes of the schema."""


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if is_chat(args, out):
        from mlxk2.entrypoints.cli.chat import converse

        return converse(args, services, out)
    options = asked(args)
    try:
        return _answer(args, options, services(), out)
    except ValidationError as error:
        if error.parameter == "structure" and args.schema is not None:
            from mlxk2.entrypoints.cli.files import unusable_schema

            raise unusable_schema(args.schema, _ALREADY_SAID.sub("", error.message)) from error
        raise


def _answer(args: Namespace, options: RunOptions, services: Services, out: Output) -> int:
    started = time.perf_counter()
    session = services.run_model().open(args.model, options)
    loaded = time.perf_counter() - started
    try:
        _tell_of_opening(session, args, out)
        _follow(session, view_of(args, out))
    except KeyboardInterrupt:
        raise  # the process ends now; closing would wait for the step that the model is in
    except BaseException:
        session.close()
        raise
    session.close()
    return _conclude(session, options.prompt, loaded, args, out)


def _tell_of_opening(session: RunSession, args: Namespace, out: Output) -> None:
    for note in session.opened.passed_over:
        out.note(f"({note})")
    if args.seed is not None and session.request.sampling.temperature == 0:
        out.note("(--seed changes nothing here: without --temperature this model takes the most probable token)")


def _follow(session: RunSession, view: View) -> None:
    view.begin(session)
    for event in events(session.start):
        for piece in session.read(event):
            view.add(piece)
    view.end()
    if session.answer.error:
        raise session.answer.error
    if session.answer.finish_reason is FinishReason.CANCELLED:
        raise Overloaded("The model was unloaded before the answer was complete; run the same command again")


def _conclude(session: RunSession, prompt: str, loaded: float, args: Namespace, out: Output) -> int:
    data = _data(session, prompt, loaded) if out.json or out.jsonl else None
    if args.schema is not None and not _is_json(session.answer.text):
        return fail("run", _incomplete(session), out, data)
    if data is not None:
        _print(data, out)
    elif session.answer.finish_reason is FinishReason.LENGTH and not args.verbose:
        out.note(f"({_limit(session)})")
    if args.verbose:
        _statistics(session, loaded, out)
    return 0


def _limit(session: RunSession) -> str:
    ended = f"ended after {session.answer.completion_tokens} tokens"
    if session.fills_context:
        return f"{ended}: the model's context of {session.context_length} is full; a shorter prompt leaves more room"
    return f"{ended}, the limit of this run"


def _data(session: RunSession, prompt: str, loaded: float) -> "RunData":
    from mlxk2.entrypoints.cli.answer_objects import run_data

    return run_data(session, prompt, loaded)


def _print(data: "RunData", out: Output) -> None:
    """For programs."""
    from mlxk2.entrypoints.cli.envelope import success
    from mlxk2.entrypoints.cli.records.answers import RunDoneEvent

    if out.jsonl:
        out.event(RunDoneEvent(data))
    else:
        out.document(success("run", data))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _incomplete(session: RunSession) -> OperationError:
    tokens = session.answer.completion_tokens
    if session.answer.stop_matched is not None:
        return OperationError(f"A --stop text ended the answer after {tokens} tokens, before its JSON was complete")
    more = "allow more with --max-tokens"
    if session.fills_context:
        more = f"the model's context of {session.context_length} is full: shorten the prompt"
    return OperationError(
        f"The answer ended after {tokens} tokens, before its JSON was complete; {more}, or let the schema bound its"
        " texts and lists (maxLength, maxItems)"
    )


def _statistics(session: RunSession, loaded: float, out: Output) -> None:
    answer, server = session.answer, session.opened.server
    place = "model loaded for this run" if server is None else f"answered by the running server at {server.url}, ready"
    out.note(
        f"{session.name}: {answer.prompt_tokens} prompt + {answer.completion_tokens} generated tokens,"
        f" {answer.tokens_per_second:.1f} tokens/s, first token after {answer.first_token_seconds:.2f} s,"
        f" {place} in {loaded:.2f} s, ended by {answer.finish_reason.value},"
        f" {describe(session.request.sampling)}"
    )
