"""Answers in Anthropic's words: one JSON document, or the events of a stream."""

from collections.abc import Iterable, Sequence

import msgspec

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import Output
from mlxk2.entrypoints.http.anthropic.content import ContentStream, blocks_of
from mlxk2.entrypoints.http.anthropic.names import renamed
from mlxk2.entrypoints.http.anthropic.replies import (
    Content,
    Ending,
    MessageDelta,
    MessageReply,
    MessageStart,
    MessageStop,
    OutputDetails,
    Ping,
    StopReason,
    StreamEvent,
    Usage,
)
from mlxk2.entrypoints.http.errors import Problem, body_of
from mlxk2.entrypoints.http.run import Run
from mlxk2.ports.errors import Overloaded
from mlxk2.ports.generation import FinishReason, GenerationRequest, TokenLogprobs

_ENCODER = msgspec.json.Encoder()


class MessageWriter:
    """The `Writer` of one request, which has one answer. `request_id` is named in errors."""

    def __init__(self, request_id: str, *, shows_thinking: bool = True) -> None:
        self._request_id = request_id
        self._shows_thinking = shows_thinking
        self._content = ContentStream(shows_thinking=shows_thinking)

    def begin(self, run: Run) -> bytes:
        return _written((MessageStart(_message(run, [])), Ping()))

    def add(self, run: Run, index: int, outputs: Sequence[Output], tokens: Sequence[TokenLogprobs]) -> bytes:
        del run, index, tokens
        return _written(self._content.add(outputs))

    def end(self, run: Run, index: int) -> bytes:
        del run, index
        return _written(self._content.end())

    def close(self, run: Run) -> bytes:
        return _written((MessageDelta(_ending(run), _usage(run)), MessageStop()))

    def fail(self, problem: Problem) -> bytes:
        return _event("error", body_of(renamed(problem), "anthropic", self._request_id))

    def whole(self, run: Run) -> bytes:
        content = blocks_of(run.answers[0].outputs, shows_thinking=self._shows_thinking)
        return _ENCODER.encode(_message(run, content, _ending(run)))


def _message(run: Run, content: list[Content], ending: Ending | None = None) -> MessageReply:
    return MessageReply(
        id=f"msg_{run.id}",
        model=run.model,
        content=content,
        stop_reason=ending.stop_reason if ending else None,
        stop_sequence=ending.stop_sequence if ending else None,
        usage=_usage(run),
    )


def _usage(run: Run) -> Usage:
    answer = run.answers[0]
    return Usage(
        input_tokens=run.prompt_tokens - answer.cached_tokens,
        cache_read_input_tokens=answer.cached_tokens,
        output_tokens=answer.completion_tokens,
        output_tokens_details=OutputDetails(answer.reasoning_tokens),
    )


def _ending(run: Run) -> Ending:
    answer = run.answers[0]
    return Ending(_stop_reason(answer, run.prepared[0].requests[0]), answer.stop_matched)


def _stop_reason(answer: Answer, request: GenerationRequest) -> StopReason:
    """Raises Overloaded for an answer that ended because its engine did: the API has no word for that."""
    if answer.stop_matched is not None:
        return "stop_sequence"
    if answer.finish_reason is FinishReason.CANCELLED:
        raise Overloaded("The model was unloaded before the answer was complete; ask again")
    if answer.finish_reason is FinishReason.LENGTH:
        filled = answer.completion_tokens < request.max_tokens
        return "model_context_window_exceeded" if filled else "max_tokens"
    return "tool_use" if answer.tool_calls else "end_turn"


def _written(events: Iterable[StreamEvent]) -> bytes:
    return b"".join([_event(event.__struct_config__.tag, _ENCODER.encode(event)) for event in events])


def _event(name: object, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(name).encode(), data)
