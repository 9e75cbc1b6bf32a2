"""What Anthropic's API answers: messages, the events that a streamed message consists of, and token counts."""

from typing import Literal

from msgspec import Raw, Struct

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]


class OutputDetails(Struct, frozen=True):
    """`thinking_tokens` of the output went into thinking."""

    thinking_tokens: int


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens. The prompt has `input_tokens` and, beside them, `cache_read_input_tokens` that were not computed again.

    Whatever is computed may be kept in the prefix cache, at no cost: nothing is counted as written there.
    """

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails


class Text(Struct, frozen=True, tag="text"):
    text: str


class Thinking(Struct, frozen=True, tag="thinking"):
    thinking: str
    signature: str


class ToolUse(Struct, frozen=True, tag="tool_use"):
    """`input` is an object of JSON."""

    id: str
    name: str
    input: Raw


Content = Text | Thinking | ToolUse


class MessageReply(Struct, frozen=True, tag="message", kw_only=True):
    """A whole answer; in `message_start` it has no content yet, and no reason to end."""

    id: str
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[Content]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage


class TokensCounted(Struct, frozen=True):
    input_tokens: int


class MessageStart(Struct, frozen=True, tag="message_start"):
    message: MessageReply


class Ping(Struct, frozen=True, tag="ping"):
    pass


class BlockStart(Struct, frozen=True, tag="content_block_start"):
    index: int
    content_block: Content


class TextAdded(Struct, frozen=True, tag="text_delta"):
    text: str


class ThinkingAdded(Struct, frozen=True, tag="thinking_delta"):
    thinking: str


class SignatureAdded(Struct, frozen=True, tag="signature_delta"):
    signature: str


class InputAdded(Struct, frozen=True, tag="input_json_delta"):
    partial_json: str


class BlockDelta(Struct, frozen=True, tag="content_block_delta"):
    index: int
    delta: TextAdded | ThinkingAdded | SignatureAdded | InputAdded


class BlockStop(Struct, frozen=True, tag="content_block_stop"):
    index: int


class Ending(Struct, frozen=True):
    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Struct, frozen=True, tag="message_delta"):
    """Why the message ends, and what it took."""

    delta: Ending
    usage: Usage


class MessageStop(Struct, frozen=True, tag="message_stop"):
    pass


StreamEvent = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop
