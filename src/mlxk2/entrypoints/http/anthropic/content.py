"""The content blocks of an answer, whole or piece by piece; both ways make the same blocks.

Text that follows on text goes into one block, and so does thinking; a tool call is a block of its own. A thinking block
ends with its signature. Thinking that is not shown is a block without text whose signature carries it.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec import Raw

from mlxk2.domain.text.outputs import CallMade, Output, ReasoningDelta, TextDelta
from mlxk2.entrypoints.http.anthropic.ids import outgoing
from mlxk2.entrypoints.http.anthropic.replies import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Content,
    InputAdded,
    SignatureAdded,
    StreamEvent,
    Text,
    TextAdded,
    Thinking,
    ThinkingAdded,
    ToolUse,
)
from mlxk2.entrypoints.http.anthropic.signatures import UNSIGNED, carrying

_NOTHING = Raw(b"{}")


def blocks_of(outputs: Iterable[Output], *, shows_thinking: bool) -> list[Content]:
    """The whole answer."""
    blocks: list[Content] = []
    for kind, group in groupby(outputs, type):
        if kind is CallMade:
            blocks += [_call(output, whole=True) for output in group if isinstance(output, CallMade)]
            continue
        text = "".join(output.text for output in group if not isinstance(output, CallMade))
        if kind is TextDelta:
            blocks.append(Text(text))
        else:
            blocks.append(Thinking(text, UNSIGNED) if shows_thinking else Thinking("", carrying(text)))
    return blocks


class ContentStream:
    """`add` and `end` give the events of an answer's blocks."""

    def __init__(self, *, shows_thinking: bool) -> None:
        self._shows_thinking = shows_thinking
        self._index = 0
        self._open: type[TextDelta | ReasoningDelta] | None = None
        self._unseen: list[str] = []

    def add(self, outputs: Iterable[Output]) -> Iterator[StreamEvent]:
        for output in outputs:
            if isinstance(output, CallMade):
                yield from self.end()
                yield from self._made(output)
                continue
            if self._open is not type(output):
                yield from self.end()
                self._open = type(output)
                yield BlockStart(self._index, Text("") if self._open is TextDelta else Thinking("", ""))
            if isinstance(output, TextDelta):
                yield BlockDelta(self._index, TextAdded(output.text))
            elif self._shows_thinking:
                yield BlockDelta(self._index, ThinkingAdded(output.text))
            else:
                self._unseen.append(output.text)

    def end(self) -> Iterator[StreamEvent]:
        """The block that is open is complete."""
        if self._open is None:
            return
        if self._open is ReasoningDelta:
            signature = UNSIGNED if self._shows_thinking else carrying("".join(self._unseen))
            self._unseen = []
            yield BlockDelta(self._index, SignatureAdded(signature))
        yield BlockStop(self._index)
        self._open = None
        self._index += 1

    def _made(self, output: CallMade) -> Iterator[StreamEvent]:
        yield BlockStart(self._index, _call(output, whole=False))
        yield BlockDelta(self._index, InputAdded(output.call.arguments))
        yield BlockStop(self._index)
        self._index += 1


def _call(output: CallMade, *, whole: bool) -> ToolUse:
    call = output.call
    return ToolUse(outgoing(call.id), call.name, Raw(call.arguments.encode()) if whole else _NOTHING)
