"""The chat template of the scripted engine: a line for each thing that is said, after a line for each tool."""

from collections.abc import Iterator, Sequence

from mlxk2.ports.conversation import Message, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import OperationError


def rendered(info: EngineInfo, messages: Sequence[Message], tools: Sequence[Tool], options: RenderOptions) -> str:
    """`user: hello`, one line a message; ends with the marker of reasoning where the caller asked for thinking."""
    if not info.has_chat_template:
        raise OperationError("This model has no chat template: give it plain text instead")
    return "".join(f"{line}\n" for line in _lines(messages, tools)) + opening(info, options)


def opening(info: EngineInfo, options: RenderOptions) -> str:
    """What the template writes of the answer itself: the marker that begins the reasoning, or nothing."""
    return info.markers.think_start or "" if info.has_thinking_switch and options.thinking else ""


def _lines(messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[str]:
    for tool in tools:
        yield f"function {tool.name} {tool.parameters}: {tool.description}"
    for message in messages:
        if message.reasoning is not None:
            yield f"{message.role} thinks: {message.reasoning}"
        yield f"{message.role}: {message.content}"
        for call in message.tool_calls:
            yield f"{message.role} calls {call.name} {call.arguments}"
