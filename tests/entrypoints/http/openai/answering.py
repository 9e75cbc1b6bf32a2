"""Answers as an engine gives them, written by the writers of OpenAI's API."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.reader import Reading
from mlxk2.domain.usecases.prepare_answers import Prepared
from mlxk2.entrypoints.http.run import Run, Timings, Writer
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from mlxk2.ports.generation import (
    Delta,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    TokenChance,
    TokenLogprobs,
)

READING = Reading(
    Markers("<think>", "</think>", tool_format="json_tools"), (Tool("f"),), call_id=lambda index: f"abcdefgh{index}"
)
CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
TIMINGS = Timings(load_seconds=1.0, queue_seconds=0.25, first_token_seconds=1.5, total_seconds=2.0)


@dataclass(frozen=True)
class Said:
    """What the engine said: one piece a token, and why it ended. Four of seven prompt tokens came from the cache."""

    pieces: Sequence[str]
    reason: FinishReason = FinishReason.STOP

    def events(self) -> list[Event]:
        texts = [
            Delta(piece, count, (count,), (TokenLogprobs(chance(piece), (chance(piece), chance("~", -2.0))),))
            for count, piece in enumerate(self.pieces, 1)
        ]
        made = len(texts) + (self.reason is FinishReason.STOP)
        return [PromptProgress(7, 7, cached=4), *texts, Finished(self.reason, 7, made, 0.1, 0.2, cached_tokens=4)]


def chance(text: str, logprob: float = -0.5) -> TokenChance:
    return TokenChance(0, text, logprob)


@dataclass
class Session:
    """One request: what was said to each prompt, and how it is written. Answers come in turns, a token each."""

    writer: Writer
    said: Sequence[Said]
    stops: tuple[str, ...] = ()
    each: int = 1
    reading: Reading = READING
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        requests = (GenerationRequest((1,) * 7, 100),) * self.each
        prepared = tuple(Prepared(requests, self.stops, self.reading) for _ in range(len(self.said) // self.each))
        answers = tuple(Answer(self.stops, self.reading) for _ in self.said)
        self.run = Run("org/demo", prepared, answers, TIMINGS, "0123456789abcdef01234567", 1700000000)

    def streamed(self) -> bytes:
        pieces: list[bytes] = []
        sources = [iter(said.events()) for said in self.said]
        for source, answer in zip(sources, self.run.answers, strict=True):
            answer.read(next(source))
        pieces.append(self.writer.begin(self.run))
        for events in zip_longest(*sources):
            for index, event in enumerate(events):
                if event is not None:
                    pieces.append(self._step(index, event))
        return b"".join([*pieces, self.writer.close(self.run)])

    def whole(self) -> Any:
        self.streamed()
        return json.loads(self.writer.whole(self.run))

    def _step(self, index: int, event: Event) -> bytes:
        answer = self.run.answers[index]
        counted = event.logprobs if isinstance(event, Delta) and not answer.stopped else ()
        outputs = answer.read(event)
        self.run.logprobs[index].extend(counted)
        written = self.writer.add(self.run, index, outputs, counted)
        return written + self.writer.end(self.run, index) if isinstance(event, Finished) else written


def chunks_of(stream: bytes) -> list[Any]:
    """The data of the events but the last, which is `[DONE]`."""
    *events, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]
