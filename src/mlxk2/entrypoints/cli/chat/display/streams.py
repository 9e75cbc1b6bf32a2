"""Text that grows on the screen: as Markdown, or as it is."""

from typing import Protocol

from mlxk2.entrypoints.cli.chat.display.area import Area
from mlxk2.entrypoints.cli.chat.display.blocks import Blocks, Page
from mlxk2.entrypoints.cli.chat.display.styled import Row, styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal


class TextStream(Protocol):
    """Blank lines at both ends are left out. After `end` the cursor stands at the start of a line."""

    def feed(self, text: str) -> None: ...

    def end(self) -> None: ...


class PlainStream:
    """Text as it comes, in one style, broken into rows by the terminal itself."""

    def __init__(self, terminal: Terminal, *names: str) -> None:
        self._terminal = terminal
        self._names = names
        self._started = False
        self._held = ""

    def feed(self, text: str) -> None:
        text = self._held + self._terminal.harmless(text)
        if not self._started:
            text = text.lstrip("\n")
        shown = text.rstrip("\n")
        self._held = text[len(shown) :]
        if shown:
            self._started = True
            self._terminal.write(self._terminal.ansi(styled(shown, *self._names)))

    def end(self) -> None:
        if self._started:
            self._terminal.write("\n")


class MarkdownStream:
    """Lines that are complete are printed once; the one that grows is drawn again, and so is a table."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._area = Area(terminal)
        self._blocks = Blocks()
        self._line = ""
        self._table: list[str] = []
        self._started = False
        self._blanks = 0

    def feed(self, text: str) -> None:
        *whole, self._line = (self._line + self._terminal.harmless(text)).split("\n")
        for line in whole:
            self._complete(line)
        if self._line.strip() or self._table:
            self._show(self._line, growing=True)

    def end(self) -> None:
        if self._line.strip():
            self._complete(self._line)
        self._line = ""
        self._end_table()

    def _complete(self, line: str) -> None:
        if self._blocks.is_table(line):
            self._begin()
            self._table.append(line)
            return
        self._end_table()
        if not line.strip():
            self._blanks += 1
            self._area.draw([])
            return
        self._show(line, growing=False)
        self._area.keep()
        self._blocks.end(line)

    def _show(self, line: str, *, growing: bool) -> None:
        page = self._page()
        if self._blocks.is_table(line):
            self._begin()
            self._area.draw(list(self._blocks.table([*self._table, line], page)))
            return
        if self._table and not line:
            self._area.draw(list(self._blocks.table(self._table, page)))
            return
        self._end_table()
        self._begin()
        rows: list[Row] = list(self._blocks.rows(line, page, growing=growing))
        self._area.draw(rows, flows=True)

    def _begin(self) -> None:
        """The blank lines that came before, now that something follows: one between paragraphs, all within code."""
        if self._blanks and self._started:
            self._terminal.write("\n" * (self._blanks if self._blocks.in_code else 1))
        self._blanks = 0
        self._started = True

    def _end_table(self) -> None:
        if self._table:
            self._area.draw(list(self._blocks.table(self._table, self._page())))
            self._area.keep()
            self._table = []

    def _page(self) -> Page:
        """One column stays free: a terminal that counts a character's columns otherwise must not break the row."""
        return Page(self._terminal.size().columns - 1, self._terminal.ascii_only)
