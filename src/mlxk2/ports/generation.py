"""What is asked of an engine and what it answers: plain values that may cross threads and processes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from mlxk2.ports.errors import Mlxk2Error

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    `temperature` 0 takes the most probable token, whatever the rest says. `top_p` 1, `top_k` 0, `min_p` 0 and
    `repetition_penalty` 1 are off. The penalty looks at the last 20 tokens, as mlx-lm's does by default.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Prompt token ids (at least one), the most tokens to make (at least one), and the sampling."""

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling


class FinishReason(Enum):
    """Why an answer ended: a stop string or end token, the token limit, or a cancellation."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Delta:
    """New text and how many tokens have been generated so far. Text may be empty while a character is incomplete."""

    text: str
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The engine is done with the request. Times are seconds since the request was started."""

    reason: FinishReason
    prompt_tokens: int
    generated_tokens: int
    first_token_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ended with an error; the engine itself goes on."""

    error: Mlxk2Error


Event = Delta | Finished | Failed
Sink = Callable[[Event], None]
"""Receives a request's events in order, from the engine's thread; `Finished` or `Failed` comes last, once."""
