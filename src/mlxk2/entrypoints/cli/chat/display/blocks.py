"""Markdown line by line: what each line of an answer looks like in rows of the screen.

Models write a paragraph as one line, so that a line is the smallest piece whose look can still change: all before it
are final. Tables are the exception, and are one piece. HTML, indented code and headings that are underlined with
signs are text here.
"""

import re
from dataclasses import dataclass

from mlxk2.entrypoints.cli.chat.display.inline import inline
from mlxk2.entrypoints.cli.chat.display.styled import Style, Styled, cells, styled
from mlxk2.entrypoints.cli.chat.display.tables import is_table_line, table_rows
from mlxk2.entrypoints.cli.chat.display.wrapping import wrap

_FENCE = re.compile(r"\s*(`{3,}|~{3,})([^`]*)$")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$")
_RULE = re.compile(r" {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$")
_ITEM = re.compile(r"(\s*)([-*+]|\d{1,9}[.)])(\s+)(?:\[([ xX])\]\s+)?(.*)$")
_QUOTE = re.compile(r"(\s*)>\s?(.*)$")
_LONGEST_RULE = 60
_DEEPEST_QUOTE = 5


@dataclass(frozen=True, slots=True)
class Page:
    """Where the rows go: `width` in columns. `ascii_only`: the terminal has no other characters."""

    width: int
    ascii_only: bool = False


class Blocks:
    """Feed every line, in order, to `end`; `rows` tells at any time what the next ones look like."""

    def __init__(self) -> None:
        self._fence: str | None = None
        self._code_indent = 0

    @property
    def in_code(self) -> bool:
        return self._fence is not None

    def end(self, line: str) -> None:
        """The line is complete, and what follows stands after it."""
        fence = _FENCE.match(line)
        if self._fence is None and fence:
            self._fence = fence[1]
            self._code_indent = len(line) - len(line.lstrip())
        elif self._fence is not None and fence and fence[1].startswith(self._fence) and not fence[2].strip():
            self._fence = None

    def is_table(self, line: str) -> bool:
        return not self.in_code and is_table_line(line)

    def rows(self, line: str, page: Page, *, growing: bool) -> list[Styled]:
        if self.in_code or _FENCE.match(line):
            return [self._code(line)]
        return _text(line, page, (), growing=growing)

    def table(self, lines: list[str], page: Page) -> list[Styled]:
        """Lines that may be a table: as one where they are, else each for itself."""
        rows = table_rows(lines, page.width, ascii_only=page.ascii_only)
        if rows is not None:
            return rows
        return [row for line in lines for row in wrap(inline(line), page.width)]

    def _code(self, line: str) -> Styled:
        """Never wrapped here, so that whoever copies it gets its own lines; without the indent that its fence has."""
        indent = min(self._code_indent if self.in_code else 0, len(line) - len(line.lstrip(" ")))
        return styled(line[indent:], *(("dim",) if _FENCE.match(line) else ("code",)))


def _text(line: str, page: Page, style: Style | tuple[()], *, growing: bool, depth: int = 0) -> list[Styled]:
    base = frozenset(style)
    if heading := _HEADING.match(line):
        names = {"bold", "heading", *(("underline",) if len(heading[1]) == 1 else ())}
        return wrap(inline(heading[2], base | names, growing=growing), page.width)
    if _RULE.match(line):
        return [styled(("-" if page.ascii_only else "─") * min(page.width, _LONGEST_RULE), "dim")]
    if (quote := _QUOTE.match(line)) and depth < _DEEPEST_QUOTE:
        bar = styled(f"{quote[1]}{'|' if page.ascii_only else '│'} ", "dim")
        inner = Page(max(page.width - cells(bar), 1), page.ascii_only)
        rows = _text(quote[2], inner, base | {"italic"}, growing=growing, depth=depth + 1)
        return [[*bar, *row] for row in rows]
    if item := _ITEM.match(line):
        return _item(item, page, base, growing=growing)
    indent = styled(line[: len(line) - len(line.lstrip(" "))])
    return wrap(inline(line.lstrip(" "), base, growing=growing), page.width, indent, indent)


def _item(item: re.Match[str], page: Page, style: Style, *, growing: bool) -> list[Styled]:
    indent, mark, _, box, text = item.groups()
    bullet = mark if mark[0].isdigit() or page.ascii_only else "•"
    if box is not None:
        bullet += f" [{box}]" if page.ascii_only or mark[0].isdigit() else ""
        bullet = bullet if "[" in bullet else "☐" if box == " " else "☑"
    first = [*styled(indent), *styled(f"{bullet} ", "mark")]
    return wrap(inline(text, style, growing=growing), page.width, first, styled(" " * cells(first)))
