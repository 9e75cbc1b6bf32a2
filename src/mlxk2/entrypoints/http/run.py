"""What is known of the answers to one HTTP request, and what writes them in an API's words."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import Output
from mlxk2.domain.usecases.prepare_answers import Prepared
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.ports.generation import TokenLogprobs


@dataclass(slots=True)
class Timings:
    """Seconds: until the model was there, from then until work began, and from the arrival to a token or the end."""

    load_seconds: float = 0.0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(slots=True)
class Run:
    """`answers` and `logprobs` are numbered through all questions; `logprobs` holds counted tokens, when asked for.

    `id` is 24 hexadecimal digits, to which every API puts its own prefix; `created` is in seconds since the epoch.
    """

    model: str
    prepared: tuple[Prepared, ...]
    answers: tuple[Answer, ...]
    timings: Timings = field(default_factory=Timings)
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))
    logprobs: tuple[list[TokenLogprobs], ...] = ()

    def __post_init__(self) -> None:
        self.logprobs = self.logprobs or tuple([] for _ in self.answers)

    @property
    def prompt_tokens(self) -> int:
        """Of all questions; a prompt with several answers counts once."""
        return sum(one.prompt_tokens for one in self.prepared)

    @property
    def cached_tokens(self) -> int:
        """Of the prompts' tokens, those that the first answer to each did not compute again."""
        firsts, index = 0, 0
        for one in self.prepared:
            firsts += self.answers[index].cached_tokens
            index += len(one.requests)
        return firsts

    @property
    def completion_tokens(self) -> int:
        return sum(answer.completion_tokens for answer in self.answers)


class Writer(Protocol):
    """One API's way to write answers. Pure: bytes come out, and `b""` where there is nothing to say."""

    def begin(self, run: Run) -> bytes:
        """A stream's first events, before any text."""

    def add(self, run: Run, index: int, outputs: Sequence[Output], tokens: Sequence[TokenLogprobs]) -> bytes:
        """What answer number `index` has more."""

    def end(self, run: Run, index: int) -> bytes:
        """Answer number `index` is complete."""

    def close(self, run: Run) -> bytes:
        """All answers are complete, and the stream ends."""

    def fail(self, problem: Problem) -> bytes:
        """The stream ends with an error."""

    def whole(self, run: Run) -> bytes:
        """All answers at once, as one JSON document."""
