"""What a tool-call format is: where a call begins and ends in the text, and how what stands there is read.

A reader raises `Malformed` for anything that is not a call from its first character to its last: what cannot be read is
shown to the user as it stands, never guessed at.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mlxk2.domain.text.calls.quoting import Quoting
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.ports.conversation import ToolCall

Reader = Callable[[str, ToolSchemas], tuple[ToolCall, ...]]


class Malformed(ValueError):
    """The text is not a tool call of this format."""


@dataclass(frozen=True, slots=True)
class CallForm:
    """One format.

    A call stands between `start` and the first `end` that is not inside a value, which a new `quoting` follows from
    the beginning. Where `end` is None it goes on to the next `start` or the end of the output. `read` gets what is
    between.
    `must_close`: without its end marker a call cannot be told from one that breaks off.
    `bare_starts` are texts that begin a call too, but only where an answer begins, and belong to what is read.
    """

    start: str
    end: str | None
    read: Reader
    quoting: Callable[[], Quoting]
    bare_starts: tuple[str, ...] = ()
    must_close: bool = False
