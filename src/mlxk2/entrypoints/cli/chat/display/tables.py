"""Markdown tables as rows of the screen, as wide as they need to be and no wider than the window."""

import re

from mlxk2.entrypoints.cli.chat.display.inline import inline
from mlxk2.entrypoints.cli.chat.display.styled import Style, Styled, cells, styled
from mlxk2.entrypoints.cli.chat.display.wrapping import wrap

_BORDER = re.compile(r"(?<!\\)\|")
_RULE_CELL = re.compile(r"\s*:?-+:?\s*")
_NARROWEST = 10
"""Columns that a cell is never made narrower than: as wrapping has it."""


def is_table_line(line: str) -> bool:
    return line.lstrip().startswith("|")


def table_rows(lines: list[str], width: int, *, ascii_only: bool) -> list[Styled] | None:
    """The table that the lines make, None where they make none, or one that the window is too narrow for.

    The second line is the rule under the head; `:---:` and `---:` say where a column's text stands.
    """
    if len(lines) < 2 or not (rule := _rule(lines[1])):
        return None
    head, *body = ([inline(cell) for cell in _cells(line)] for line in (lines[0], *lines[2:]))
    columns = len(head)
    heading: Style = frozenset({"bold"})
    grid = [[[(char, style | heading) for char, style in cell] for cell in head], *body]
    grid = [[*row[:columns], *([[]] * (columns - len(row)))] for row in grid]
    widths = _fitted([max(cells(row[i]) for row in grid) for i in range(columns)], width - 3 * (columns - 1))
    if widths is None:
        return None
    bar, line, cross = ("|", "-", "-+-") if ascii_only else ("│", "─", "─┼─")
    sides = (rule + [""] * columns)[:columns]
    shown = [_line(row, widths, sides, bar) for row in grid]
    under = styled(cross.join(line * wide for wide in widths), "dim")
    return [*shown[0], under, *(row for rows in shown[1:] for row in rows)]


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    parts = _BORDER.split(inner)
    return [part.strip() for part in (parts[:-1] if len(parts) > 1 and not parts[-1].strip() else parts)]


def _rule(line: str) -> list[str] | None:
    """Where each column's text stands: right, centre, or left as usual."""
    parts = _cells(line)
    if not all(_RULE_CELL.fullmatch(part) for part in parts):
        return None
    return [{(True, True): "centre", (False, True): "right"}.get((p[0] == ":", p[-1] == ":"), "") for p in parts]


def _fitted(wanted: list[int], room: int) -> list[int] | None:
    """The widest columns give way until all fit."""
    widths = [max(wide, 1) for wide in wanted]
    while sum(widths) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return None
        widths[widest] -= 1
    return widths


def _line(row: list[Styled], widths: list[int], sides: list[str], bar: str) -> list[Styled]:
    """One line of the table, as many rows high as its highest cell."""
    wrapped = [[cell] if cells(cell) <= wide else wrap(cell, wide) for cell, wide in zip(row, widths, strict=True)]
    rows = []
    for i in range(max(len(cell) for cell in wrapped)):
        parts = [
            _placed(cell[i] if i < len(cell) else [], wide, side)
            for cell, wide, side in zip(wrapped, widths, sides, strict=True)
        ]
        joined = parts[0]
        for part in parts[1:]:
            joined = [*joined, *styled(f" {bar} ", "dim"), *part]
        rows.append(joined)
    return rows


def _placed(text: Styled, wide: int, side: str) -> Styled:
    blank = max(wide - cells(text), 0)
    left = {"right": blank, "centre": blank // 2}.get(side, 0)
    return [*styled(" " * left), *text, *styled(" " * (blank - left))]
