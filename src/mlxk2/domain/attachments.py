"""Text files in a prompt: each under its name, between fences that nothing in it can close.

A chat's `/attach` and `run --attach` both stand on this, so that a model reads the same whichever was used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlxk2.domain.names import printable

_TICKS = re.compile(r"`{3,}")
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class TextFile:
    """`name` is how the user calls it: a path, as it was typed."""

    name: str
    text: str


def with_files(question: str, files: Sequence[TextFile]) -> str:
    """The prompt: the files in their order, then the question. The question alone when there are none."""
    return "\n\n".join([*map(_block, files), question])


def after_input(text: str, question: str) -> str:
    """The prompt of a question that is about what was piped in: that first, then the question."""
    return "\n\n".join((text.rstrip("\n"), question))


def _block(file: TextFile) -> str:
    longest = max(map(len, _TICKS.findall(file.text)), default=0)
    fence = "`" * max(len(_FENCE), longest + 1)
    end = "" if file.text.endswith("\n") or not file.text else "\n"
    return f"{_title(file.name)}:\n{fence}\n{file.text}{end}{fence}"


def _title(name: str) -> str:
    """One line of valid text, whatever a file system allows in a name."""
    return printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
