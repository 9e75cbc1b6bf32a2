"""Whether a place in a call's text is inside a value: what looks like the end of the call is none there.

A call may hold the text that ends it any number of times. So a look at one place goes on from where the last one came
to, and every character is looked at once.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Protocol


class Quoting(Protocol):
    """Follows the text of one call while it grows."""

    def open_at(self, text: str, place: int) -> bool:
        """Whether `text[:place]` breaks off inside a value.

        The text is the one of the last time, or that and more; the place is never before the last one.
        """


@dataclass(frozen=True, slots=True)
class Dialect:
    """`quotes` begin and end a text; `escapes` tells whether a backslash means something in it."""

    quotes: tuple[str, ...]
    escapes: bool


JSON = Dialect(('"',), escapes=True)


class InQuotes:
    """Values are inside where they are texts between quotes."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._overlap = max(map(len, dialect.quotes)) - 1
        self._quote: str | None = None
        self._next = _any_of(dialect.quotes)
        self._at = 0

    def open_at(self, text: str, place: int) -> bool:
        while self._at < place and (found := self._next.search(text, self._at, place)):
            self._at = found.end()
            if found[0] == "\\":
                self._at += 1
            else:
                self._turn(found[0])
        self._at = max(self._at, place - self._overlap)
        return self._quote is not None

    def _turn(self, quote: str) -> None:
        """A quote begins a text or ends it."""
        self._quote = quote if self._quote is None else None
        inside = (quote, "\\") if self._dialect.escapes else (quote,)
        self._next = _any_of(self._dialect.quotes if self._quote is None else inside)


class InTags:
    """Values are inside where they stand between two texts."""

    def __init__(self, begin: str, end: str) -> None:
        self._begin = begin
        self._tags = _any_of((begin, end))
        self._overlap = max(len(begin), len(end)) - 1
        self._open = False
        self._at = 0

    def open_at(self, text: str, place: int) -> bool:
        for found in self._tags.finditer(text, self._at, place):
            self._open = found[0] == self._begin
            self._at = found.end()
        self._at = max(self._at, place - self._overlap)
        return self._open


@cache
def _any_of(texts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)))
