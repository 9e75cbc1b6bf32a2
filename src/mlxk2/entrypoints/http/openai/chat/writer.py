"""Chat answers in OpenAI's words: one JSON document, or the chunks of a stream.

A stream says the assistant's role first, for every answer; then each output becomes a chunk of its own. Answers that
are made at once come as they are made. Log-probabilities go with the first output of a step, or alone where the text
that belongs to them is held back.
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from mlxk2.domain.text.outputs import CallMade, Output, TextDelta
from mlxk2.entrypoints.http.errors import Problem, body_of
from mlxk2.entrypoints.http.openai.chat.logprobs import logprobs_of
from mlxk2.entrypoints.http.openai.chat.replies import (
    AssistantReply,
    CalledWith,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatDelta,
    ChunkChoice,
    ToolCallDelta,
    ToolCallReply,
)
from mlxk2.entrypoints.http.openai.endings import DONE, FINGERPRINT, event, finish_reason_of, timings_of, usage_of
from mlxk2.entrypoints.http.openai.manner import Manner, renamed
from mlxk2.entrypoints.http.openai.replies import AnswerTimings, CompletionUsage
from mlxk2.entrypoints.http.run import Run
from mlxk2.ports.conversation import ToolCall
from mlxk2.ports.generation import TokenLogprobs

_ENCODER = msgspec.json.Encoder()
_BEGINNING = ChatDelta("", "assistant", None)
_NOTHING = ChatDelta()


class ChatWriter:
    """The `Writer` of one request."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._usage: CompletionUsage | UnsetType | None = None if manner.usage else UNSET

    def begin(self, run: Run) -> bytes:
        return b"".join(
            [_chunk(run, [ChunkChoice(index, _BEGINNING)], self._usage) for index in range(len(run.answers))]
        )

    def add(self, run: Run, index: int, outputs: Sequence[Output], tokens: Sequence[TokenLogprobs]) -> bytes:
        logprobs = logprobs_of(tokens) if tokens and self._manner.logprobs else None
        deltas = [_delta(output) for output in outputs]
        if not deltas and logprobs is not None:
            deltas = [_NOTHING]
        chunks = []
        for delta in deltas:
            chunks.append(_chunk(run, [ChunkChoice(index, delta, logprobs)], self._usage))
            logprobs = None
        return b"".join(chunks)

    def end(self, run: Run, index: int) -> bytes:
        return _chunk(run, [ChunkChoice(index, _NOTHING, None, finish_reason_of(run.answers[index]))], self._usage)

    def close(self, run: Run) -> bytes:
        manner = self._manner
        if not manner.usage and not manner.timings:
            return DONE
        usage = usage_of(run) if manner.usage else UNSET
        return _chunk(run, [], usage, timings_of(run, wanted=manner.timings)) + DONE

    def fail(self, problem: Problem) -> bytes:
        return event(body_of(renamed(problem, self._manner.names), "openai", ""))

    def whole(self, run: Run) -> bytes:
        reply = ChatCompletion(
            id=_id(run),
            created=run.created,
            model=run.model,
            choices=[self._choice(run, index) for index in range(len(run.answers))],
            usage=usage_of(run),
            system_fingerprint=FINGERPRINT,
            timings=timings_of(run, wanted=self._manner.timings),
        )
        return _ENCODER.encode(reply)

    def _choice(self, run: Run, index: int) -> ChatChoice:
        answer = run.answers[index]
        logprobs = logprobs_of(run.logprobs[index]) if self._manner.logprobs else None
        message = AssistantReply(
            content=answer.text or (None if answer.tool_calls else ""),
            reasoning_content=answer.reasoning or UNSET,
            reasoning=answer.reasoning or UNSET,
            tool_calls=[ToolCallReply(id=call.id, function=_called(call)) for call in answer.tool_calls] or UNSET,
        )
        return ChatChoice(index, message, logprobs, finish_reason_of(answer))


def _chunk(
    run: Run,
    choices: list[ChunkChoice],
    usage: CompletionUsage | UnsetType | None,
    timings: AnswerTimings | UnsetType = UNSET,
) -> bytes:
    chunk = ChatChunk(
        id=_id(run),
        created=run.created,
        model=run.model,
        system_fingerprint=FINGERPRINT,
        choices=choices,
        usage=usage,
        timings=timings,
    )
    return event(_ENCODER.encode(chunk))


def _id(run: Run) -> str:
    return f"chatcmpl-{run.id}"


def _delta(output: Output) -> ChatDelta:
    if isinstance(output, TextDelta):
        return ChatDelta(output.text)
    if isinstance(output, CallMade):
        return ChatDelta(
            tool_calls=[ToolCallDelta(index=output.index, id=output.call.id, function=_called(output.call))]
        )
    return ChatDelta(reasoning_content=output.text, reasoning=output.text)


def _called(call: ToolCall) -> CalledWith:
    return CalledWith(call.name, call.arguments)
