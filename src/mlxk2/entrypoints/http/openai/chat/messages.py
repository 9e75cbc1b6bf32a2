"""The messages of a conversation as OpenAI's clients send them."""

from typing import Annotated, Literal

from msgspec import Meta, Raw

from mlxk2.entrypoints.http.openai.wire import Wire


class CacheBreakpoint(Wire, kw_only=True):
    """Taken without effect: whatever can be taken from the prefix cache is."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class TextPart(Wire, kw_only=True):
    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class SaidPart(Wire, tag_field="type", tag="text", kw_only=True):
    """A text part of the assistant's, beside which refusals may stand."""

    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class RefusalPart(Wire, tag_field="type", tag="refusal", kw_only=True):
    """The model has said that it will not answer; text like any other here."""

    refusal: str


Parts = Annotated[list[TextPart], Meta(min_length=1)]
AnswerParts = Annotated[list[SaidPart | RefusalPart], Meta(min_length=1)]
Nothing = Annotated[list[Raw], Meta(max_length=0)]


class SystemMessage(Wire, tag_field="role", tag="system", kw_only=True):
    content: str | Parts
    name: None = None


class DeveloperMessage(Wire, tag_field="role", tag="developer", kw_only=True):
    """The newer name of the system's messages."""

    content: str | Parts
    name: None = None


class UserMessage(Wire, tag_field="role", tag="user", kw_only=True):
    content: str | Parts
    name: None = None


class CalledFunction(Wire, kw_only=True):
    """`arguments` is the text that the model has written for them."""

    name: Annotated[str, Meta(min_length=1)]
    arguments: str


class MadeCall(Wire, kw_only=True):
    type: Literal["function"]
    id: Annotated[str, Meta(min_length=1)]
    function: CalledFunction


class AssistantMessage(Wire, tag_field="role", tag="assistant", kw_only=True):
    """`reasoning_content` and `reasoning` are two names of one thing, as answers have it."""

    content: str | AnswerParts | None = None
    tool_calls: list[MadeCall] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    name: None = None
    audio: None = None
    function_call: None = None
    annotations: Nothing | None = None


class ToolMessage(Wire, tag_field="role", tag="tool", kw_only=True):
    """What a call has brought; `name`, as some clients send it, is the function's own."""

    tool_call_id: str
    content: str | Parts
    name: str | None = None


AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
