"""Answers as an engine gives them, written by the `Writer` of Anthropic's API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.reader import Reading
from mlxk2.domain.usecases.prepare_answers import Prepared
from mlxk2.entrypoints.http.anthropic.writer import MessageWriter
from mlxk2.entrypoints.http.run import Run
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from mlxk2.ports.generation import Delta, Event, Finished, FinishReason, GenerationRequest, PromptProgress

READING = Reading(
    Markers("<think>", "</think>", tool_format="json_tools"), (Tool("f"),), call_id=lambda index: f"abcdefgh{index}"
)
CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


@dataclass(frozen=True)
class Said:
    """What the engine said: one piece a token, and why it ended. Four of seven prompt tokens came from the cache."""

    pieces: Sequence[str]
    reason: FinishReason = FinishReason.STOP
    stops: tuple[str, ...] = ()
    max_tokens: int = 100

    def events(self) -> list[Event]:
        texts = [Delta(piece, count, (count,)) for count, piece in enumerate(self.pieces, 1)]
        made = len(texts) + (self.reason is FinishReason.STOP)
        return [PromptProgress(7, 7, cached=4), *texts, Finished(self.reason, 7, made, 0.1, 0.2, cached_tokens=4)]

    def run(self) -> Run:
        prepared = Prepared((GenerationRequest((1,) * 7, self.max_tokens),), self.stops, READING)
        answer = Answer(self.stops, READING)
        return Run("org/demo", (prepared,), (answer,), id="0123456789abcdef01234567")


def streamed(said: Said, *, shows_thinking: bool = True) -> bytes:
    """The whole stream, one piece a token."""
    run, writer = said.run(), MessageWriter("req_1", shows_thinking=shows_thinking)
    (first, *rest), written = said.events(), b""
    run.answers[0].read(first)
    written += writer.begin(run)
    for event in rest:
        written += writer.add(run, 0, run.answers[0].read(event), ())
    return written + writer.end(run, 0) + writer.close(run)


def whole(said: Said, *, shows_thinking: bool = True) -> Any:
    """The answer as one document."""
    run = said.run()
    for event in said.events():
        run.answers[0].read(event)
    return json.loads(MessageWriter("req_1", shows_thinking=shows_thinking).whole(run))


def events_of(stream: bytes) -> list[tuple[str, Any]]:
    """Names and data of server-sent events."""
    frames = stream.decode().removesuffix("\n\n").split("\n\n")
    lines = [frame.split("\n") for frame in frames]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines]
