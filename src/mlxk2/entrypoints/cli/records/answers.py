"""What a model answered: `run`."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT
from mlxk2.entrypoints.cli.records.failures import ErrorEvent


@dataclass(frozen=True)
class PromptTokensObject:
    """`cached_tokens` of the prompt were not computed again."""

    cached_tokens: int


@dataclass(frozen=True)
class UsageObject:
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensObject


@dataclass(frozen=True)
class TimingsObject:
    """Seconds; `tokens_per_second` is the speed after the first token, 0 when there was no second one."""

    load_seconds: float
    first_token_seconds: float
    total_seconds: float
    tokens_per_second: float


@dataclass(frozen=True)
class AnsweringServerObject:
    """A running server that has answered."""

    url: str
    port: int
    pid: int


@dataclass(frozen=True)
class RunData:
    """`reasoning` is what the model thought before it answered, `server` the one that was running; absent without.

    Beside an error, when an answer that is held to a schema ended too soon, `response` is its beginning.
    """

    model: str
    prompt: str
    response: str
    usage: UsageObject
    finish_reason: Literal["stop", "length"]
    timings: TimingsObject
    reasoning: str | None = field(default=None, metadata=LEFT_OUT)
    server: AnsweringServerObject | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class RunStartEvent:
    """`run --jsonl`: the model is there and the prompt goes to it. `server` is null when it was loaded for this run."""

    event: Literal["start"] = field(default="start", init=False)
    model: str
    hash: str
    server: AnsweringServerObject | None


@dataclass(frozen=True)
class ReasoningEvent:
    """`run --jsonl`: more of what the model thinks before it answers."""

    event: Literal["reasoning"] = field(default="reasoning", init=False)
    text: str


@dataclass(frozen=True)
class TextEvent:
    """`run --jsonl`: more of the answer."""

    event: Literal["text"] = field(default="text", init=False)
    text: str


@dataclass(frozen=True)
class RunDoneEvent:
    """`run --jsonl`: the last line of a success; `data` is what the command has under `data` with --json."""

    event: Literal["done"] = field(default="done", init=False)
    data: RunData


RunEvent = RunStartEvent | ReasoningEvent | TextEvent | RunDoneEvent | ErrorEvent
"""One line of `run --jsonl`."""
