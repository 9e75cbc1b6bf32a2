"""Text with styles, one character at a time: what rows of the screen are made of.

A style is a set of names; what each looks like on a terminal stands here and nowhere else.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from prompt_toolkit.utils import get_cwidth

Style = frozenset[str]
Cell = tuple[str, Style]
Styled = list[Cell]
Row = Sequence[Cell]

PLAIN: Style = frozenset()
_ATTRIBUTES = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "strike": "9"}
_COLOURS = {"code": "36", "heading": "35", "mark": "33"}


def styled(text: str, *names: str) -> Styled:
    """The text, all in one style."""
    style = frozenset(names)
    return [(char, style) for char in text]


def cells(row: Iterable[Cell]) -> int:
    """How many columns of a terminal it takes: wide characters two, combining ones none."""
    return sum(get_cwidth(char) for char, _ in row)


def plain(row: Iterable[Cell]) -> str:
    return "".join(char for char, _ in row)


def ansi(row: Iterable[Cell], *, colour: bool) -> str:
    """The row with the terminal's codes; every piece ends in the terminal's own style."""
    pieces = []
    for style, group in groupby(row, key=lambda cell: cell[1]):
        text = plain(group)
        codes = [code for name, code in _ATTRIBUTES.items() if name in style]
        codes += [code for name, code in _COLOURS.items() if colour and name in style]
        pieces.append(f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes else text)
    return "".join(pieces)
