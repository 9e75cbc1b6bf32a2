"""The last rows of the screen, which can be drawn again; what stands above them never is.

Only rows that have changed are written, all of them in one piece, and rows that merely grew get what is new: nothing
flickers, and the terminal's scrollback holds every row once. When the window's width changes, terminals break the
rows anew; they are counted as they stand now before they are replaced.
"""

import os
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.chat.display.styled import Row, cells

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.chat.display.terminal import Terminal


class Area:
    """After each call the cursor stands at the end of its last row; when it is empty, at the start of a line."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal
        self._rows: list[Row] = []
        self._columns = 0
        self._gone = 0

    def draw(self, rows: list[Row]) -> None:
        """Show these rows, and these only."""
        if rows == self._rows:
            return
        size = self._terminal.size()
        self._note_what_is_gone(size)
        if self._rows and size.columns != self._columns:
            self._draw_anew(rows, size)
        else:
            self._draw_changed(rows, size)
        self._rows, self._columns = list(rows), size.columns

    def keep(self) -> None:
        """What is shown stays; the area begins anew below it."""
        if self._rows:
            self._terminal.write("\n")
        self._rows, self._gone = [], 0

    def _note_what_is_gone(self, size: os.terminal_size) -> None:
        """How many rows can no more be reached: they have left the screen."""
        self._gone = min(self._gone, len(self._rows))
        while self._gone < len(self._rows) and self._height(self._gone, size.columns) > size.lines:
            self._gone += 1

    def _draw_anew(self, rows: list[Row], size: os.terminal_size) -> None:
        """The rows hold other words than before: go on where the text of those that are gone ends."""
        text = sum(_letters(row) for row in self._rows[: self._gone])
        start = self._back_to(self._gone, size.columns)
        self._gone = 0
        while self._gone < len(rows) and text >= (letters := _letters(rows[self._gone])) and text:
            text -= letters
            self._gone += 1
        self._terminal.write(start + self._text(rows[self._gone :]))

    def _draw_changed(self, rows: list[Row], size: os.terminal_size) -> None:
        same = self._unchanged(rows)
        if same == len(self._rows) - 1 and rows[same : same + 1] and _begins_with(rows[same], self._rows[same]):
            added: list[Row] = [rows[same][len(self._rows[same]) :], *rows[same + 1 :]]
            self._terminal.write(self._text(added))
        elif same == len(self._rows) and self._rows:
            self._terminal.write("\n" + self._text(rows[same:]))
        else:
            self._terminal.write(self._back_to(same, size.columns) + self._text(rows[same:]))

    def _unchanged(self, rows: list[Row]) -> int:
        """How many rows at the top need not be touched, or cannot be."""
        same = 0
        while same < min(len(rows), len(self._rows)) and rows[same] == self._rows[same]:
            same += 1
        same = max(same, self._gone)
        return max(len(rows) - 1, 0) if same >= len(rows) < len(self._rows) else same

    def _height(self, start: int, columns: int) -> int:
        return sum(max(-(-cells(row) // columns), 1) for row in self._rows[start:])

    def _back_to(self, row: int, columns: int) -> str:
        """To the start of that row, with nothing from there on."""
        if not self._rows:
            return ""
        if row >= len(self._rows):
            return "\n"
        up = self._height(row, columns) - 1
        return (f"\x1b[{up}A" if up else "") + "\r\x1b[J"

    def _text(self, rows: list[Row]) -> str:
        return "\n".join(self._terminal.ansi(row) for row in rows)


def _begins_with(row: Row, start: Row) -> bool:
    return list(row[: len(start)]) == list(start)


def _letters(row: Row) -> int:
    return sum(not char.isspace() for char, _ in row)
