"""`mlxk2 run`: one prompt, one answer, printed as it is made."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.text.outputs import TextDelta
from mlxk2.domain.usecases.run_model import RunOptions, RunSession, describe
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.answers import PromptTokensObject, RunData, TimingsObject, UsageObject
from mlxk2.entrypoints.cli.streaming import events
from mlxk2.ports.errors import UsageError, ValidationError
from mlxk2.ports.generation import FinishReason


@dataclass(frozen=True, slots=True)
class _Manner:
    """How the answer is shown."""

    stream: bool
    verbose: bool


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    options = _options(args)
    started = time.perf_counter()
    session = services().run_model().open(args.model, options)
    loaded = time.perf_counter() - started
    for note in session.opened.passed_over:
        out.note(f"({note})")
    try:
        _generate(session, _Manner(not args.no_stream and not out.json, args.verbose), out)
    except KeyboardInterrupt:
        raise  # the process ends now; closing would wait for the step that the model is in
    except BaseException:
        session.close()
        raise
    session.close()
    if out.json:
        out.document(success("run", _data(session, options, loaded)))
    elif args.verbose:
        _statistics(session, loaded, out)
    return 0


def _options(args: Namespace) -> RunOptions:
    return RunOptions(
        prompt=_prompt(args),
        system=args.system,
        max_tokens=args.max_tokens,
        sampling=SamplingChoice(
            temperature=args.temperature,
            top_p=args.top_p,
            top_k=args.top_k,
            min_p=args.min_p,
            repetition_penalty=args.repetition_penalty,
            seed=args.seed,
        ),
        stops=tuple(args.stop),
        use_chat_template=not args.no_chat_template,
        thinking=args.thinking,
        trust_remote_code=args.trust_remote_code,
        force_load=args.force_load,
    )


def _prompt(args: Namespace) -> str:
    if args.prompt is not None and args.prompt_option is not None:
        raise UsageError("the prompt was given twice: as an argument and with -p/--prompt; give it once")
    given: str | None = args.prompt if args.prompt is not None else args.prompt_option
    if given is not None and given != "-":
        return given
    if given is None and sys.stdin.isatty():
        raise UsageError('no prompt: write it after the model (mlxk2 run <model> "your question"), or pipe it in')
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValidationError("Standard input is not UTF-8 text; convert it first, for example with iconv") from error


def _generate(session: RunSession, manner: _Manner, out: Output) -> None:
    answer = session.answer
    for event in events(session.start):
        text = "".join(output.text for output in session.read(event) if isinstance(output, TextDelta))
        if text and manner.stream:
            out.stream(text)
    if manner.stream and not answer.text.endswith("\n"):
        out.stream("\n")
    if answer.error:
        raise answer.error
    if not out.json:
        if not manner.stream:
            out.result(answer.text)
        if answer.finish_reason is FinishReason.LENGTH and not manner.verbose:
            out.note(f"(ended after {answer.completion_tokens} tokens, the limit of this run)")


def _statistics(session: RunSession, loaded: float, out: Output) -> None:
    answer = session.answer
    out.note(
        f"{session.name}: {answer.prompt_tokens} prompt + {answer.completion_tokens} generated tokens,"
        f" {answer.tokens_per_second:.1f} tokens/s, first token after {answer.first_token_seconds:.2f} s,"
        f" model loaded in {loaded:.2f} s, ended by {answer.finish_reason.value}, {describe(session.request.sampling)}"
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
    )
