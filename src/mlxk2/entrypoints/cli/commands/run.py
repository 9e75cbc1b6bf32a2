"""`mlxk2 run`: one prompt and its answer, printed as it is made; without a prompt, a chat."""

import json
import re
import time
from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.usecases.run_model import RunOptions, RunSession, describe
from mlxk2.entrypoints.cli.answering import View, answering_server, view_of
from mlxk2.entrypoints.cli.asking import asked, is_chat
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import fail
from mlxk2.entrypoints.cli.files import unusable_schema
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.answers import (
    PromptTokensObject,
    RunData,
    RunDoneEvent,
    TimingsObject,
    UsageObject,
)
from mlxk2.entrypoints.cli.streaming import events
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.generation import FinishReason

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
    return _conclude(session, _data(session, options, loaded), args, out)


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


def _conclude(session: RunSession, data: RunData, args: Namespace, out: Output) -> int:
    if args.schema is not None and not _is_json(data.response):
        return fail("run", _incomplete(session), out, data)
    if out.jsonl:
        out.event(RunDoneEvent(data))
    elif out.json:
        out.document(success("run", data))
    elif session.answer.finish_reason is FinishReason.LENGTH and not args.verbose:
        out.note(f"(ended after {session.answer.completion_tokens} tokens, the limit of this run)")
    if args.verbose:
        _statistics(session, data, out)
    return 0


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
    return OperationError(
        f"The answer ended after {tokens} tokens, before its JSON was complete; allow more with --max-tokens, or let"
        " the schema bound its texts and lists (maxLength, maxItems)"
    )


def _statistics(session: RunSession, data: RunData, out: Output) -> None:
    answer, server = session.answer, session.opened.server
    place = "model loaded for this run" if server is None else f"answered by the running server at {server.url}, ready"
    out.note(
        f"{session.name}: {data.usage.prompt_tokens} prompt + {data.usage.completion_tokens} generated tokens,"
        f" {answer.tokens_per_second:.1f} tokens/s, first token after {answer.first_token_seconds:.2f} s,"
        f" {place} in {data.timings.load_seconds:.2f} s, ended by {answer.finish_reason.value},"
        f" {describe(session.request.sampling)}"
    )


def _data(session: RunSession, options: RunOptions, loaded: float) -> RunData:
    answer = session.answer
    return RunData(
        model=session.name,
        prompt=options.prompt,
        response=answer.text,
        usage=UsageObject(
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.prompt_tokens + answer.completion_tokens,
            PromptTokensObject(answer.cached_tokens),
        ),
        finish_reason="length" if answer.finish_reason is FinishReason.LENGTH else "stop",
        timings=TimingsObject(
            load_seconds=round(loaded, 4),
            first_token_seconds=round(answer.first_token_seconds, 4),
            total_seconds=round(answer.total_seconds, 4),
            tokens_per_second=round(answer.tokens_per_second, 2),
        ),
        reasoning=answer.reasoning or None,
        server=answering_server(session),
    )
