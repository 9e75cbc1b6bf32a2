"""A few lines of a terminal that are drawn again and again in the same place.

Nothing of the terminal is switched: no other screen, no hidden cursor. Whatever ends the program leaves it as it was.
Every picture is written in one piece over the last one, and each of its lines clears what was right of it; nothing is
blanked in between, so nothing flickers.

The picture stands below what was on the screen before. When the window's width changes, terminals fold lines anew, and
a picture that is drawn in that moment may go astray. So from then on the picture is at the top of the screen, and what
stood above it has moved up into the scrollback.
"""

from collections.abc import Sequence

from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.running_view import Line

_UP, _HOME, _SCROLL = "\x1b[{}A", "\x1b[H", "\n"
_TO_LINE_END, _TO_SCREEN_END = "\x1b[K", "\x1b[J"


def usable(columns: int) -> int:
    """The last column stays empty: terminals do not agree on where the cursor is once it was written to."""
    return max(1, columns - 1)


class Redraw:
    """Draws on standard output, which must be a terminal that can (`Output.screen`)."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._columns = 0
        self._drawn: list[str] = []
        self._at_top = False

    def draw(self, lines: Sequence[Line], screen: tuple[int, int]) -> None:
        """Replace the picture; `screen` is the terminal's width and height now. What has no room is cut and counted."""
        columns, rows = screen
        shown = [(_cut(text, usable(columns)), style) for text, style in _fitting(lines, rows - 1)]
        styled = (self._out.styled(text, style) if style else text for text, style in shown)
        picture = "".join(f"{text}{_TO_LINE_END}\r\n" for text in styled)
        self._out.stream(f"{self._back(columns, rows)}{picture}{_TO_SCREEN_END}")
        self._columns, self._drawn = columns, [text for text, _ in shown]

    def leave(self) -> None:
        """The picture stays; the `^C` that a terminal writes below it goes."""
        self._out.stream(f"\r{_TO_LINE_END}")

    def _back(self, columns: int, rows: int) -> str:
        """To where the picture begins."""
        if self._at_top:
            return _HOME
        folded = sum(max(1, -(-len(text) // columns)) for text in self._drawn)
        back = f"\r{_UP.format(folded)}" if folded else ""
        if self._columns in (0, columns):
            return back
        self._at_top = True
        return f"{back}{_TO_SCREEN_END}{_SCROLL * (rows - 1)}{_HOME}"


def _fitting(lines: Sequence[Line], rows: int) -> Sequence[Line]:
    if len(lines) <= rows:
        return lines
    kept = max(0, rows - 1)
    return [*lines[:kept], (f"… {len(lines) - kept} more", "dim")][: max(1, rows)]


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: columns - 1]}…"
