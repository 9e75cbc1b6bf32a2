"""A conversation as OpenAI's API writes it, and what is to be said to the model.

- The developer's messages are the system's. Parts of a message are put together as they are.
- A tool's message answers a call that an assistant's message before it has made, and no call twice.
- An assistant's refusal is what it said. Its reasoning is given to the chat template, which decides whether the model
  sees it again.
"""

from collections.abc import Sequence

from mlxk2.entrypoints.http.openai.chat.messages import (
    AnyMessage,
    AssistantMessage,
    RefusalPart,
    SaidPart,
    TextPart,
    ToolMessage,
)
from mlxk2.entrypoints.http.openai.complaints import complaint
from mlxk2.entrypoints.http.openai.paths import written
from mlxk2.ports.conversation import Message, Role, ToolCall

_ROLES: dict[str, Role] = {"DeveloperMessage": "system", "SystemMessage": "system", "UserMessage": "user"}


def messages_of(said: Sequence[AnyMessage]) -> tuple[Message, ...]:
    """Raises Refusal for a message that has nothing to say, and for results that belong to no call."""
    messages: list[Message] = []
    open_calls: dict[str, str] = {}
    for number, one in enumerate(said):
        path = ("messages", str(number))
        if isinstance(one, AssistantMessage):
            messages.append(_assistant(path, one))
            open_calls |= {call.id: call.name for call in messages[-1].tool_calls}
        elif isinstance(one, ToolMessage):
            _check_result(path, one, open_calls)
            messages.append(Message("tool", _text(one.content), tool_call_id=one.tool_call_id))
        else:
            messages.append(Message(_ROLES[type(one).__name__], _text(one.content)))
    return tuple(messages)


def _text(content: str | Sequence[TextPart | SaidPart | RefusalPart]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in content)


def _assistant(path: tuple[str, ...], one: AssistantMessage) -> Message:
    if one.content is not None and one.refusal is not None:
        raise complaint(written((*path, "refusal")), "A message has content or a refusal; leave one of them out")
    content = one.content if one.refusal is None else one.refusal
    calls = tuple(ToolCall(call.function.name, call.function.arguments, call.id) for call in one.tool_calls or ())
    if content is None and not calls:
        place = written((*path, "content"))
        raise complaint(place, f"{place} is null, which it may be beside tool_calls only; send a text")
    if one.reasoning and one.reasoning_content and one.reasoning != one.reasoning_content:
        raise complaint(
            written((*path, "reasoning")), "reasoning and reasoning_content mean the same; leave one of them out"
        )
    return Message("assistant", _text(content or ""), one.reasoning_content or one.reasoning or None, calls)


def _check_result(path: tuple[str, ...], one: ToolMessage, open_calls: dict[str, str]) -> None:
    name = open_calls.pop(one.tool_call_id, None)
    if name is None:
        place = written((*path, "tool_call_id"))
        raise complaint(
            place, f"{place} answers no call of an assistant's message before it; send the message with that call too"
        )
    if one.name not in (None, name):
        place = written((*path, "name"))
        raise complaint(place, f"{place} is not the function that was called, '{name[:64]}'; leave it out")
