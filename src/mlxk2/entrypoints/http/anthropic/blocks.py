"""The parts of a message as Anthropic's clients send them: what is text, and what stands around tools and thinking.

Fields that are None here exist in the API and are refused unless they are null.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct


class Wire(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whatever is not named in a class is refused: the API itself does so."""


class CacheControl(Wire):
    """Taken without effect: whatever can be taken from the prefix cache is."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


NoItems = Annotated[list[Raw], Meta(max_length=0)]


class TextBlock(Wire, tag="text"):
    text: Annotated[str, Meta(min_length=1)]
    cache_control: CacheControl | None = None
    citations: NoItems | None = None


class DirectCaller(Wire):
    """The model itself has made the call, and no program of a server's."""

    type: Literal["direct"]


class ToolUseBlock(Wire, tag="tool_use"):
    """A call that the model made; `input` is an object of JSON."""

    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]
    input: Raw
    cache_control: CacheControl | None = None
    caller: DirectCaller | None = None
    toolset_name: None = None


class ToolResultBlock(Wire, tag="tool_result"):
    """What the call with this id has brought."""

    tool_use_id: str
    content: str | list[TextBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: None = None


class ThinkingBlock(Wire, tag="thinking"):
    """What the model thought; `signature` is the server's own mark on it (`signatures.py`)."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Wire, tag="redacted_thinking"):
    """Thinking that only the server it comes from can read."""

    data: str


Block = TextBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock


class Turn(Wire):
    """One message of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]
