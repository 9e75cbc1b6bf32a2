"""What `/v1/completions` answers: a completion; a stream consists of completions too, each with the new text."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mlxk2.entrypoints.http.openai.replies import AnswerTimings, CompletionUsage


class TextLogprobs(Struct, frozen=True):
    """One entry for each generated token; `text_offset` is where the token begins, in characters from the first one."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(Struct, frozen=True):
    """`finish_reason` is null in a stream until the answer is complete."""

    text: str
    index: int
    logprobs: TextLogprobs | None = None
    finish_reason: Literal["stop", "length"] | None = None


class TextCompletion(Struct, frozen=True, kw_only=True):
    """`usage` is left out of a stream unless it was asked for, and then null in all chunks but the last."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    system_fingerprint: str
    usage: CompletionUsage | UnsetType | None = UNSET
    timings: AnswerTimings | UnsetType = UNSET
