"""What an answer consists of, as it streams: visible text, reasoning, and tool calls."""

from dataclasses import dataclass

from mlxk2.ports.conversation import ToolCall


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the visible answer; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks before it answers; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class CallMade:
    """A whole tool call, with an id; `index` counts the calls of this answer from 0."""

    index: int
    call: ToolCall


Output = TextDelta | ReasoningDelta | CallMade
