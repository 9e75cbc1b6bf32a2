"""What a model answered: `run`."""

from dataclasses import dataclass
from typing import Literal


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
class RunData:
    model: str
    prompt: str
    response: str
    usage: UsageObject
    finish_reason: Literal["stop", "length"]
    timings: TimingsObject
