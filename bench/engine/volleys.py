"""What a child without HTTP is asked: answer these prompts, so many at once, so many tokens each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Volley:
    """`at_once` requests are kept running until all prompts are answered with `tokens` tokens each."""

    prompts: tuple[str, ...]
    tokens: int
    at_once: int

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Volley":
        return cls(tuple(fields["prompts"]), int(fields["tokens"]), int(fields["at_once"]))


@dataclass(frozen=True, slots=True)
class Volleyed:
    """What it took in seconds: from the first request to the first text of any, and to the last token; and how much of
    the process's processor time."""

    tokens: int
    first: float
    seconds: float
    processor: float

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Volleyed":
        times = (float(fields[name]) for name in ("first", "seconds", "processor"))
        return cls(int(fields["tokens"]), *times)
