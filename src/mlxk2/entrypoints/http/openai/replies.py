"""What both kinds of answers end with: usage, and timings."""

from msgspec import Struct


class PromptDetails(Struct, frozen=True):
    """`cached_tokens` of the prompt were not computed again."""

    cached_tokens: int


class CompletionDetails(Struct, frozen=True):
    """`reasoning_tokens` of the answers went into reasoning."""

    reasoning_tokens: int


class CompletionUsage(Struct, frozen=True):
    """Tokens; those after a stop string are not counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class AnswerTimings(Struct, frozen=True):
    """Seconds: until the model was there, from then until work began, and from the arrival of the request to the first
    token and to the end. `tokens_per_second` of all answers after their first tokens; null for too few of them."""

    load_seconds: float
    queue_seconds: float
    first_token_seconds: float
    total_seconds: float
    tokens_per_second: float | None
