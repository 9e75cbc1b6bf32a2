"""What is asked of the client and what it reports, and how an answer's bytes are read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.engine.requests import Body


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
    """`first` and `total`: seconds from sending to its first event, and to its end. Counts are the server's."""

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
        "POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def read_answer(received: bytes | bytearray, started: float, first: float, ended: float) -> Answer:
    """Usage from the last event of a stream, or from the whole document."""
    head, _, content = bytes(received).partition(b"\r\n\r\n")
    events = [line[len(b"data: ") :] for line in content.split(b"\n") if line.startswith(b"data: {")]
    try:
        document = json.loads(events[-1] if events else content)
        usage = document["usage"]
        prompt, tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (ValueError, KeyError, TypeError):
        error = (head.partition(b"\r\n")[0] + b" " + content[-300:]).decode(errors="replace")
        return Answer(ended - started, ended - started, 0, 0, 0, error or "the connection was closed")
    cached = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))
    return Answer((first or ended) - started, ended - started, prompt, tokens, cached)
