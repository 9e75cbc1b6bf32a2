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
    """What it took, from the first request to the last token; seconds of the process's processor time too."""

    tokens: int
    seconds: float
    processor: float

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Volleyed":
        return cls(int(fields["tokens"]), float(fields["seconds"]), float(fields["processor"]))
