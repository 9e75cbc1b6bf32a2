"""What `/v1/chat/completions` answers: a completion, or the chunks of a stream."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mlxk2.entrypoints.http.openai.replies import AnswerTimings, CompletionUsage

Finish = Literal["stop", "length", "tool_calls"]


class TopLogprob(Struct, frozen=True):
    """`bytes` are null where the token is no text of its own, being a part of a character."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(Struct, frozen=True):
    """One entry for each generated token, those of reasoning and calls among them."""

    content: list[TokenLogprob]
    refusal: None = None


class CalledWith(Struct, frozen=True):
    """`arguments` is the text of a JSON object."""

    name: str
    arguments: str


class ToolCallReply(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: CalledWith


class AssistantReply(Struct, frozen=True, kw_only=True):
    """`content` is null where there are only calls. Reasoning, if there is any, has both names that clients know."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallReply] | UnsetType = UNSET


class ChatChoice(Struct, frozen=True):
    index: int
    message: AssistantReply
    logprobs: ChoiceLogprobs | None
    finish_reason: Finish


class ChatCompletion(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    system_fingerprint: str
    timings: AnswerTimings | UnsetType = UNSET


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    """A whole call; `index` counts the calls of one answer."""

    index: int
    id: str
    type: Literal["function"] = "function"
    function: CalledWith


class ChatDelta(Struct, frozen=True):
    content: str | UnsetType = UNSET
    role: Literal["assistant"] | UnsetType = UNSET
    refusal: UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True):
    index: int
    delta: ChatDelta
    logprobs: ChoiceLogprobs | None = None
    finish_reason: Finish | None = None


class ChatChunk(Struct, frozen=True, kw_only=True):
    """`usage` is there when it was asked for, and null in all chunks but the last, which has no choices."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
    timings: AnswerTimings | UnsetType = UNSET
