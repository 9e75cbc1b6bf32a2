"""Markdown within a line: emphasis, code, links.

Less than CommonMark knows, and gentler with what models write beside Markdown: `2*3*4`, `snake_case` and `__init__`
stay as they are, and HTML is text. A line that still grows is read as if what is open were closed at its end, so that
words do not change their look when the closing mark comes.
"""

import re

from mlxk2.entrypoints.cli.chat.display.styled import Style, Styled

_LONGEST = 4000
"""Characters of a line that is read at all; longer ones are shown as they are."""
_DEEPEST = 6
_MARKS = (("***", ("bold", "italic")), ("**", ("bold",)), ("*", ("italic",)), ("~~", ("strike",)))
_UNDERSCORES = (("__", ("bold",)), ("_", ("italic",)))
_ESCAPABLE = "*_`~|#"
_LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
_DUNDER = re.compile(r"__\w+__(?!\w)")
_UNFINISHED = re.compile(r"[*_~`]+$")


def inline(text: str, style: Style = frozenset(), *, growing: bool = False) -> Styled:
    """The line as styled text. `growing`: more of it may come."""
    if len(text) > _LONGEST:
        return [(char, style) for char in text]
    return _Reader(_UNFINISHED.sub("", text) if growing else text, growing=growing).read(style, 0)


class _Reader:
    def __init__(self, text: str, *, growing: bool) -> None:
        self._text = text
        self._growing = growing
        self._never_closed: set[str] = set()

    def read(self, style: Style, depth: int) -> Styled:
        found: Styled = []
        at = 0
        while at < len(self._text):
            piece, after = self._piece(at, style, depth)
            found += piece
            at = after
        return found

    def _piece(self, at: int, style: Style, depth: int) -> tuple[Styled, int]:
        """What stands here, and where it ends."""
        char = self._text[at]
        if char == "\\" and self._text[at + 1 : at + 2] and self._text[at + 1] in _ESCAPABLE:
            return [(self._text[at + 1], style)], at + 2
        if char == "`":
            return self._code(at, style)
        if char in "[!" and (link := _LINK.match(self._text, at)):
            return self._link(link, style, depth), link.end()
        if char in "*~_" and depth < _DEEPEST and (emphasis := self._emphasis(at, style, depth)):
            return emphasis
        return [(char, style)], at + 1

    def _code(self, at: int, style: Style) -> tuple[Styled, int]:
        mark = _run(self._text, at)
        end = _end_of_code(self._text, at + len(mark), mark)
        if end is None and not self._growing:
            return [(char, style) for char in mark], at + len(mark)
        inside = self._text[at + len(mark) : end]
        if len(inside) > 2 and inside[0] == inside[-1] == " ":
            inside = inside[1:-1]
        after = len(self._text) if end is None else end + len(mark)
        return [(char, style | {"code"}) for char in inside], after

    def _link(self, link: re.Match[str], style: Style, depth: int) -> Styled:
        label, address = link[1], link[2]
        shown = _Reader(label, growing=False).read(style | {"underline"}, depth + 1)
        if not address or label == address:
            return shown
        return [*shown, *((char, style | {"dim"}) for char in f" ({address})")]

    def _emphasis(self, at: int, style: Style, depth: int) -> tuple[Styled, int] | None:
        if self._text[at] == "_" and (name := _DUNDER.match(self._text, at)):
            return [(char, style) for char in name[0]], name.end()
        for mark, names in _UNDERSCORES if self._text[at] == "_" else _MARKS:
            if self._text.startswith(mark, at) and self._opens(at, mark):
                start = at + len(mark)
                end = self._end_of_emphasis(start, mark)
                if end is None and not self._growing:
                    continue
                inside = _Reader(self._text[start:end], growing=self._growing and end is None)
                after = len(self._text) if end is None else end + len(mark)
                return inside.read(style.union(names), depth + 1), after
        return None

    def _opens(self, at: int, mark: str) -> bool:
        """It stands before a word, and not within one."""
        before, after = self._text[at - 1 : at], self._text[at + len(mark) : at + len(mark) + 1]
        return bool(after) and not after.isspace() and after != mark[0] and not _is_word(before)

    def _end_of_emphasis(self, start: int, mark: str) -> int | None:
        if mark in self._never_closed:
            return None
        at = start
        while at < len(self._text):
            char = self._text[at]
            if char == "\\":
                at += 2
            elif char == "`":
                run = _run(self._text, at)
                end = _end_of_code(self._text, at + len(run), run)
                at = at + len(run) if end is None else end + len(run)
            elif char == mark[0]:
                run = _run(self._text, at)
                if self._closes(at, run, mark) and at > start:
                    return at + len(run) - len(mark)
                at += len(run)
            else:
                at += 1
        self._never_closed.add(mark)
        return None

    def _closes(self, at: int, run: str, mark: str) -> bool:
        if self._text[at - 1].isspace() or (len(run) != len(mark) and len(run) != 3):
            return False
        return mark[0] != "_" or not _is_word(self._text[at + len(run) : at + len(run) + 1])


def _run(text: str, at: int) -> str:
    """The same character as often as it comes."""
    end = at
    while end < len(text) and text[end] == text[at]:
        end += 1
    return text[at:end]


def _end_of_code(text: str, start: int, mark: str) -> int | None:
    """Where a run of just these backticks begins."""
    at = start
    while (at := text.find("`", at)) >= 0:
        run = _run(text, at)
        if run == mark:
            return at
        at += len(run)
    return None


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_") if char else False
