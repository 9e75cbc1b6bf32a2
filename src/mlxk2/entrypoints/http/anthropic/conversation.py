"""A conversation as Anthropic's API writes it, and what is to be said to the model.

- Turns of one role that follow one another are one turn. A blank line stands between the texts of a turn.
- A user's turn begins with the results of all calls of the turn before, in any order, and of no others. Each becomes a
  message of its own before the user's text. A result that is an error says so: `Error: …`.
- Thinking of earlier turns is given to the chat template, which decides whether the model sees it again. Redacted
  thinking can be read by nobody here, and is left out.
- An answer cannot be begun by the client: the last turn is not the assistant's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlxk2.entrypoints.http.anthropic.blocks import (
    Block,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
)
from mlxk2.entrypoints.http.anthropic.complaints import Path, complaint
from mlxk2.entrypoints.http.anthropic.ids import incoming
from mlxk2.entrypoints.http.anthropic.signatures import carried
from mlxk2.ports.conversation import Message, Role, ToolCall

_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A block and where it stands in the body."""

    path: Path
    block: Block


@dataclass(frozen=True, slots=True)
class _Said:
    """What one role says before another one does."""

    role: Role
    path: Path
    blocks: list[_Placed]


def messages_of(system: str | Sequence[TextBlock] | None, turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Raises ValidationError for a conversation that the API does not allow either, and for one that ends with the
    beginning of an answer."""
    said = _merged(turns)
    if said[-1].role == "assistant":
        raise complaint(
            ("messages",),
            "the last message is the assistant's, and this server cannot continue a message that has begun (prefill);"
            " end the conversation with a user message",
        )
    text = joined(system)
    messages = [Message("system", text)] if text else []
    pending: tuple[str, ...] = ()
    for one in said:
        results = _results(one)
        _check_results(one, results, pending)
        messages += _messages(one, results)
        pending = _calls(one)
    return tuple(messages)


def joined(content: str | Sequence[TextBlock] | None) -> str:
    """The text of all blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    return _BETWEEN.join(block.text for block in content)


def _merged(turns: Sequence[Turn]) -> list[_Said]:
    said: list[_Said] = []
    for number, turn in enumerate(turns):
        path = ("messages", str(number))
        if not said or said[-1].role != turn.role:
            said.append(_Said(turn.role, path, []))
        said[-1].blocks.extend(_placed(path, turn))
    return said


def _placed(path: Path, turn: Turn) -> Iterator[_Placed]:
    if not turn.content and turn.role != "assistant":
        raise complaint(path, f"{turn.role} messages must have non-empty content")
    if isinstance(turn.content, str):
        if turn.content:
            yield _Placed((*path, "content"), TextBlock(text=turn.content))
        return
    for number, block in enumerate(turn.content):
        placed = _Placed((*path, "content", str(number)), block)
        _check_place(turn.role, placed)
        yield placed


_OWNERS: dict[type[Block], tuple[str, Role]] = {
    ToolUseBlock: ("tool_use", "assistant"),
    ThinkingBlock: ("thinking", "assistant"),
    RedactedThinkingBlock: ("redacted_thinking", "assistant"),
    ToolResultBlock: ("tool_result", "user"),
}


def _check_place(role: Role, placed: _Placed) -> None:
    name, owner = _OWNERS.get(type(placed.block), ("text", role))
    if owner != role:
        raise complaint(placed.path, f"`{name}` blocks can only be in `{owner}` messages")
    if isinstance(placed.block, ToolUseBlock) and not bytes(placed.block.input).lstrip().startswith(b"{"):
        raise complaint((*placed.path, "input"), "Input should be a valid dictionary")


def _calls(said: _Said) -> tuple[str, ...]:
    return tuple(placed.block.id for placed in said.blocks if isinstance(placed.block, ToolUseBlock))


def _results(said: _Said) -> list[ToolResultBlock]:
    """Those that the turn begins with, which have to be all of it."""
    results: list[ToolResultBlock] = []
    for number, placed in enumerate(said.blocks):
        if isinstance(placed.block, ToolResultBlock):
            if len(results) < number:
                raise complaint(placed.path, "`tool_result` blocks must come before everything else in a user's turn")
            results.append(placed.block)
    return results


def _check_results(said: _Said, results: Sequence[ToolResultBlock], pending: Sequence[str]) -> None:
    brought = [result.tool_use_id for result in results]
    if len(set(pending)) < len(pending):
        raise complaint(("messages",), "`tool_use` ids must be unique")
    missing = [call_id for call_id in pending if call_id not in brought]
    if missing:
        raise complaint(
            said.path,
            f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. Each"
            " `tool_use` block must have a corresponding `tool_result` block in the next message.",
        )
    strange = next((call_id for place, call_id in enumerate(brought) if call_id not in pending), None)
    if strange is not None:
        raise complaint(
            said.path,
            f"unexpected `tool_use_id` found in `tool_result` blocks: {strange}. Each `tool_result` block must have a"
            " corresponding `tool_use` block in the previous message.",
        )
    if len(set(brought)) < len(brought):
        raise complaint(said.path, "each `tool_use` must have a single `tool_result` block")


def _messages(said: _Said, results: Sequence[ToolResultBlock]) -> Iterator[Message]:
    for result in results:
        yield Message("tool", _result_text(result), tool_call_id=incoming(result.tool_use_id))
    texts = [placed.block.text for placed in said.blocks if isinstance(placed.block, TextBlock)]
    if said.role == "assistant":
        reasoning = _BETWEEN.join(filter(None, map(_reasoning, said.blocks)))
        yield Message("assistant", _BETWEEN.join(texts), reasoning or None, tuple(_tool_calls(said)))
    elif texts:
        yield Message(said.role, _BETWEEN.join(texts))


def _result_text(result: ToolResultBlock) -> str:
    text = joined(result.content)
    return f"Error: {text}" if result.is_error else text


def _reasoning(placed: _Placed) -> str:
    block = placed.block
    if not isinstance(block, ThinkingBlock):
        return ""
    try:
        return block.thinking or carried(block.signature)
    except ValueError:
        raise complaint((*placed.path, "signature"), "Invalid `signature` in `thinking` block") from None


def _tool_calls(said: _Said) -> Iterator[ToolCall]:
    for placed in said.blocks:
        block = placed.block
        if isinstance(block, ToolUseBlock):
            yield ToolCall(block.name, bytes(block.input).decode(), incoming(block.id))
