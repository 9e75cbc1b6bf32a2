"""What people and programs say to a model, and what a chat template makes of it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made: `arguments` is the text of a JSON object, `id` is what the result refers to."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `tool_calls` and `reasoning` belong to the assistant, `tool_call_id` to a result."""

    role: Role
    content: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: `parameters` is the text of a JSON schema of its arguments.

    `strict`: where calls cannot be held to the schema, or it has a keyword that is not known, the request is refused,
    also when the model may choose.
    """

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    strict: bool = False


class RenderOptions(NamedTuple):
    """None keeps the template's own default. `effort` is the template's own word for how long to think.

    Each reaches only a template that reads it (`EngineInfo.has_thinking_switch`, `has_effort_levels`).
    """

    thinking: bool | None = None
    effort: str | None = None


class RenderedPrompt(NamedTuple):
    """Token ids that end where the answer begins.

    `borders` are the places, counted in tokens, where a message ends; only engines whose prefix cache cannot be cut
    anywhere name them. `opens_reasoning`: the template has already written the marker that begins the reasoning.
    """

    tokens: tuple[int, ...]
    borders: tuple[int, ...] = ()
    opens_reasoning: bool = False
