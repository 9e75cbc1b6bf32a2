"""What is asked of the client and what it reports, and how an answer's bytes are read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.engine.requests import Body

_EVENT = b"data: {"


@dataclass(frozen=True, slots=True)
class Errand:
    """Requests to the server at `port`, `at_once` of them; with a background it is that which runs `at_once`, and the
    requests go one by one after `gaps` seconds each."""

    port: int
    bodies: Sequence[Body]
    at_once: int = 1
    background: Sequence[Body] = ()
    gaps: Sequence[float] = ()

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Errand":
        return cls(int(fields["port"]), fields["bodies"], int(fields["at_once"]), fields["background"], fields["gaps"])


@dataclass(frozen=True, slots=True)
class Answer:
    """`first` and `total`: seconds from sending to its first text, and to its last byte. Counts are the server's."""

    first: float
    total: float
    prompt_tokens: int
    tokens: int
    cached_tokens: int
    error: str = ""

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Answer":
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All answers; `seconds` from the first request to the end, `processor` what the client itself took of them."""

    answers: tuple[Answer, ...]
    seconds: float
    processor: float

    @property
    def tokens(self) -> int:
        return sum(answer.tokens for answer in self.answers)

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Outcome":
        answers = tuple(Answer.parse(answer) for answer in fields["answers"])
        return cls(answers, float(fields["seconds"]), float(fields["processor"]))


def encode(body: Body) -> bytes:
    """The bytes of the HTTP request."""
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@dataclass(slots=True)
class Received:
    """An answer's bytes as they came: `arrivals` are moments, each with how many bytes were there."""

    content: bytearray = field(default_factory=bytearray)
    arrivals: list[tuple[float, int]] = field(default_factory=list)

    def add(self, piece: bytes, moment: float) -> None:
        self.content += piece
        self.arrivals.append((moment, len(self.content)))

    @property
    def last(self) -> float:
        return self.arrivals[-1][0] if self.arrivals else 0.0

    def moment_of(self, position: int) -> float:
        """When the byte at that position came."""
        return next(moment for moment, length in self.arrivals if length > position)


def read_answer(received: Received, started: float) -> Answer:
    """Usage from the last event of a stream, or from the whole document."""
    head, _, content = bytes(received.content).partition(b"\r\n\r\n")
    total = max(received.last - started, 0.0)
    try:
        events = list(_events(received.content))
        usage = (events[-1][1] if events else json.loads(content))["usage"]
        prompt, tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (ValueError, KeyError, TypeError):
        error = (head.partition(b"\r\n")[0] + b" " + content[-300:]).decode(errors="replace")
        return Answer(total, total, 0, 0, 0, error if head else "the connection was closed")
    cached = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))
    speaking = next((place for place, event in events if _has_text(event)), None)
    first = total if speaking is None else received.moment_of(speaking) - started
    return Answer(first, total, prompt, tokens, cached)


def _events(content: bytearray) -> Iterator[tuple[int, Any]]:
    """Where each event of a stream begins, and what it says. No server here tears one apart between two chunks."""
    begin = content.find(_EVENT)
    while begin >= 0:
        end = content.find(b"\n", begin)
        end = len(content) if end < 0 else end
        yield begin, json.loads(content[begin + len(_EVENT) - 1 : end])
        begin = content.find(_EVENT, end)


def _has_text(event: Any) -> bool:
    """Some servers send an event without text before the first token is there."""
    deltas = [choice.get("delta") or {} for choice in event.get("choices", ())]
    return any(delta.get(name) for delta in deltas for name in ("content", "reasoning", "reasoning_content"))
