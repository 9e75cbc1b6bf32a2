"""The last rows of the screen, which can be drawn again; what stands above them never is.

Only rows that have changed are written, all of them in one piece, and rows that merely grew get what is new: nothing
flickers, and the terminal's scrollback holds every row once.

When the window's width changes, a terminal may break the rows anew, cut them off, or move them out of sight, and does
not say which. So nothing that was drawn before is touched then: what follows begins on a row of its own.
"""

import os
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.chat.display.styled import Row, cells

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.chat.display.terminal import Terminal

_BARS = frozenset("│|")


class Area:
    """After each call the cursor stands at the end of its last row; when it is empty, at the start of a line.

    Rows before `_gone` cannot be reached, nor can the first `_cut` characters of that row.
    """

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal
        self._rows: list[Row] = []
        self._columns = 0
        self._gone = 0
        self._cut = 0

    def draw(self, rows: list[Row], *, flows: bool = False) -> None:
        """Show these rows, and these only.

        `flows`: they are one text, broken into rows, that grows at its end. In a window of another width it goes on
        where it stopped; other rows are shown again below the old ones, unless there was one alone.
        """
        if rows == self._rows:
            return
        size = self._terminal.size()
        if not self._rows or not rows or size.columns == self._columns:
            self._draw_changed(rows, size)
        elif flows:
            if not self._go_on(rows):
                return
        else:
            self._draw_again(rows, size)
        self._rows, self._columns = list(rows), size.columns

    def keep(self) -> None:
        """What is shown stays; the area begins anew below it."""
        if self._rows:
            self._terminal.write("\n")
        self._rows = []
        self._gone = self._cut = 0

    def _draw_changed(self, rows: list[Row], size: os.terminal_size) -> None:
        self._note_what_has_left(size)
        same = self._unchanged(rows)
        if same == len(self._rows) - 1 and rows[same : same + 1] and _begins_with(rows[same], self._rows[same]):
            added: list[Row] = [rows[same][len(self._rows[same]) :], *rows[same + 1 :]]
            self._terminal.write("\n".join(map(self._terminal.ansi, added)))
        elif same == len(self._rows) and self._rows:
            self._terminal.write("\n" + self._text(rows, same))
        else:
            self._terminal.write(self._back_to(same, size.columns) + self._text(rows, same))

    def _go_on(self, rows: list[Row]) -> bool:
        """From where the text ended that is shown; False when it has not grown."""
        letters = sum(map(_letters, self._rows))
        row = 0
        while row < len(rows) and letters >= _letters(rows[row]):
            letters -= _letters(rows[row])
            row += 1
        if row == len(rows):
            return False
        self._gone, self._cut = row, _place(rows[row], letters)
        self._terminal.write("\n" + self._text(rows, row))
        return True

    def _draw_again(self, rows: list[Row], size: os.terminal_size) -> None:
        start = self._back_to(0, size.columns) if len(self._rows) == 1 else "\n"
        self._gone = self._cut = 0
        self._terminal.write(start + self._text(rows, 0))

    def _note_what_has_left(self, size: os.terminal_size) -> None:
        """Rows that the screen is too small for."""
        while self._gone < len(self._rows) and self._height(self._gone, size.columns) > size.lines:
            self._gone, self._cut = self._gone + 1, 0

    def _unchanged(self, rows: list[Row]) -> int:
        """How many rows at the top need not be touched, or cannot be."""
        same = 0
        while same < min(len(rows), len(self._rows)) and rows[same] == self._rows[same]:
            same += 1
        same = max(same, self._gone)
        return max(len(rows) - 1, 0) if same >= len(rows) < len(self._rows) else same

    def _height(self, start: int, columns: int) -> int:
        shown = (self._reachable(self._rows, i) for i in range(start, len(self._rows)))
        return sum(max(-(-cells(row) // columns), 1) for row in shown)

    def _back_to(self, row: int, columns: int) -> str:
        """To the start of that row, with nothing from there on."""
        if not self._rows:
            return ""
        if row >= len(self._rows):
            return "\n"
        up = self._height(row, columns) - 1
        return (f"\x1b[{up}A" if up else "") + "\r\x1b[J"

    def _text(self, rows: list[Row], start: int) -> str:
        return "\n".join(self._terminal.ansi(self._reachable(rows, i)) for i in range(start, len(rows)))

    def _reachable(self, rows: list[Row], index: int) -> Row:
        return rows[index][self._cut :] if index == self._gone else rows[index]


def _begins_with(row: Row, start: Row) -> bool:
    return list(row[: len(start)]) == list(start)


def _letters(row: Row) -> int:
    """Those of the text itself, however it is broken into rows: no blanks, no bars before its rows."""
    return sum(not char.isspace() and char not in _BARS for char, _ in row)


def _place(row: Row, letters: int) -> int:
    """Where the text goes on after so many letters."""
    if not letters:
        return 0
    for place, cell in enumerate(row, 1):
        letters -= _letters([cell])
        if letters == 0:
            return place
    return len(row)
