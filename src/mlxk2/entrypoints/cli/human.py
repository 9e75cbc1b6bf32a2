"""Texts for people: sizes, times, tables."""

import time
from collections.abc import Sequence

_STEPS = ((31_536_000, "y"), (2_592_000, "mo"), (604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"))
_GAP = "  "
_END_OF_YEAR_9999 = 253_402_300_799


def age(moment: float, now: float) -> str:
    """How long ago, in the largest unit that fits: 3h ago."""
    elapsed = int(now - moment)
    for seconds, unit in _STEPS:
        if elapsed >= seconds:
            return f"{elapsed // seconds}{unit} ago"
    return "just now"


def duration(seconds: float) -> str:
    """The two largest units that it fills: 4m 58s."""
    left = max(0, round(seconds))
    parts = []
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        if left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2]) or "0s"


def utc(moment: float) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`, in every time zone of the machine."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(max(moment, 0), _END_OF_YEAR_9999)))


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, right: frozenset[str]
) -> list[str]:
    """Aligned columns within `width`; a first cell that does not fit gets a line of its own, nothing is cut.

    Without a width (a pipe, a file) every row is one line. `right` names the columns that are aligned to the right.
    """
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    others = sum(widths[1:]) + len(_GAP) * (len(header) - 1)
    longest = widths[0] if width is None else max(len(header[0]), width - others)
    widths[0] = max([len(row[0]) for row in (header, *rows) if len(row[0]) <= longest])
    return [line for row in (header, *rows) for line in _row(row, header, widths, right)]


def _row(row: Sequence[str], header: Sequence[str], widths: Sequence[int], right: frozenset[str]) -> list[str]:
    first, *others = row
    cells = [
        cell.rjust(wide) if title in right else cell.ljust(wide)
        for cell, title, wide in zip(others, header[1:], widths[1:], strict=True)
    ]
    start = [first.ljust(widths[0])] if len(first) <= widths[0] else [" " * widths[0]]
    line = _GAP.join([*start, *cells]).rstrip()
    return [line] if len(first) <= widths[0] else [first, line]


def facts(rows: Sequence[tuple[str, str]]) -> list[str]:
    """`Label: value` lines with the values under one another."""
    wide = max(len(label) for label, _ in rows) + 1
    return [f"{label + ':':<{wide}} {value}" for label, value in rows]
