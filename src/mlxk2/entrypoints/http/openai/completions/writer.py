"""Continued texts in OpenAI's words: one JSON document, or a stream of them."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import Output, TextDelta
from mlxk2.entrypoints.http.errors import Problem, body_of
from mlxk2.entrypoints.http.openai.completions.logprobs import text_logprobs
from mlxk2.entrypoints.http.openai.completions.replies import TextChoice, TextCompletion
from mlxk2.entrypoints.http.openai.endings import DONE, FINGERPRINT, event, finish_reason_of, timings_of, usage_of
from mlxk2.entrypoints.http.openai.manner import Manner, renamed
from mlxk2.entrypoints.http.openai.replies import AnswerTimings, CompletionUsage
from mlxk2.entrypoints.http.run import Run
from mlxk2.ports.generation import TokenLogprobs

_ENCODER = msgspec.json.Encoder()


class CompletionWriter:
    """The `Writer` of one request; `echoes` are written before the answers to each of its prompts, none: no echo."""

    def __init__(self, manner: Manner, echoes: tuple[str, ...] = ()) -> None:
        self._manner = manner
        self._echoes = echoes
        self._usage: CompletionUsage | UnsetType | None = None if manner.usage else UNSET
        self._offsets: dict[int, int] = {}

    def begin(self, run: Run) -> bytes:
        if not self._echoes:
            return b""
        return b"".join([self._event(run, TextChoice(echo, index)) for index, echo in enumerate(self._echoed(run))])

    def add(self, run: Run, index: int, outputs: Sequence[Output], tokens: Sequence[TokenLogprobs]) -> bytes:
        text = _text(outputs)
        logprobs = None
        if tokens and self._manner.logprobs:
            offset = self._offsets.get(index, 0)
            logprobs = text_logprobs(tokens, offset)
            self._offsets[index] = offset + sum(map(len, logprobs.tokens))
        return self._event(run, TextChoice(text, index, logprobs)) if text or logprobs else b""

    def end(self, run: Run, index: int) -> bytes:
        return self._event(run, TextChoice("", index, None, _finish_reason(run.answers[index])))

    def close(self, run: Run) -> bytes:
        manner = self._manner
        if not manner.usage and not manner.timings:
            return DONE
        last = _completion(run, [], usage_of(run) if manner.usage else UNSET, timings_of(run, wanted=manner.timings))
        return event(_ENCODER.encode(last)) + DONE

    def fail(self, problem: Problem) -> bytes:
        return event(body_of(renamed(problem, self._manner.names), "openai", ""))

    def whole(self, run: Run) -> bytes:
        echoes = self._echoed(run) if self._echoes else ("",) * len(run.answers)
        choices = [self._choice(run, index, echo) for index, echo in enumerate(echoes)]
        return _ENCODER.encode(_completion(run, choices, usage_of(run), timings_of(run, wanted=self._manner.timings)))

    def _echoed(self, run: Run) -> list[str]:
        """The prompt of every answer."""
        pairs = zip(self._echoes, run.prepared, strict=True)
        return [echo for echo, prepared in pairs for _ in prepared.requests]

    def _choice(self, run: Run, index: int, echo: str) -> TextChoice:
        answer = run.answers[index]
        logprobs = text_logprobs(run.logprobs[index], 0) if self._manner.logprobs else None
        return TextChoice(echo + answer.text, index, logprobs, _finish_reason(answer))

    def _event(self, run: Run, choice: TextChoice) -> bytes:
        return event(_ENCODER.encode(_completion(run, [choice], self._usage)))


def _completion(
    run: Run,
    choices: list[TextChoice],
    usage: CompletionUsage | UnsetType | None,
    timings: AnswerTimings | UnsetType = UNSET,
) -> TextCompletion:
    return TextCompletion(
        id=f"cmpl-{run.id}",
        created=run.created,
        model=run.model,
        choices=choices,
        system_fingerprint=FINGERPRINT,
        usage=usage,
        timings=timings,
    )


def _text(outputs: Sequence[Output]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, TextDelta))


def _finish_reason(answer: Answer) -> Literal["stop", "length"]:
    return "length" if finish_reason_of(answer) == "length" else "stop"
