"""A terminal in memory: it understands just what the chat writes, and anything else is an error."""

import io
import re

from prompt_toolkit.utils import get_cwidth

_CODE = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[\d;]*m")


class MemoryTerminalFile(io.StringIO):
    """What is written, and the rows that a terminal of so many columns shows of it."""

    def __init__(self, columns: int = 80, encoding: str = "utf-8") -> None:
        super().__init__()
        self.columns = columns
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def rows(self) -> list[str]:
        """Without colours and trailing blanks; characters that take two columns are followed by nothing."""
        grid: list[list[str]] = [[]]
        row = column = at = 0
        text = self.getvalue()
        while at < len(text):
            if code := _CODE.match(text, at):
                at = code.end()
                if code[2] == "A":
                    row -= int(code[1] or 1)
                    assert row >= 0
                elif code[2] == "J":
                    assert not code[1]
                    grid = [*grid[:row], grid[row][:column]]
                else:
                    assert code[0].endswith("m")
                continue
            char = text[at]
            at += 1
            if char == "\n":
                row, column = row + 1, 0
            elif char == "\r":
                column = 0
            else:
                assert char.isprintable(), repr(char)
                row, column = self._put(grid, row, column, char)
            while len(grid) <= row:
                grid.append([])
        return ["".join(line).rstrip() for line in grid]

    def _put(self, grid: list[list[str]], row: int, column: int, char: str) -> tuple[int, int]:
        wide = get_cwidth(char)
        if column + wide > self.columns:
            row, column = row + 1, 0
            if len(grid) <= row:
                grid.append([])
        line = grid[row]
        line.extend(" " * (column - len(line)))
        line[column : column + wide] = [char, *[""] * (wide - 1)]
        return row, column + wide
