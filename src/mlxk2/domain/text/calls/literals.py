"""Values as programming languages write them, in the three dialects that models use for the arguments of a call.

Python's and JSON's words for true, false and nothing are both read: templates mix them. Nothing is evaluated.
"""

import re

from mlxk2.domain.text.calls.form import Malformed
from mlxk2.domain.text.calls.jsons import NotJson, read_json
from mlxk2.domain.text.calls.quoting import Dialect
from mlxk2.domain.text.matching import past_space

_DEEPEST = 100
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[\w.$-]+")
_ESCAPE = re.compile(
    r"\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\n|.)",
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_ESCAPED |= {char: char for char in "\\/'\""}


PYTHON = Dialect(('"', "'"), escapes=True)


class Literals:
    """Reads one text from left to right; `at` is the place. Keys of objects are bare names unless they are quoted.

    Raises Malformed where something else stands.
    """

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self.at = 0

    def skip(self, mark: str) -> bool:
        """Go past `mark`, and space before it, if it stands here."""
        self._space()
        if not self._text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def expect(self, mark: str) -> None:
        if not self.skip(mark):
            raise Malformed(f"no {mark}")

    def name(self) -> str:
        self._space()
        found = _NAME.match(self._text, self.at)
        if found is None:
            raise Malformed("no name")
        self.at = found.end()
        return found[0]

    def ended(self) -> bool:
        self._space()
        return self.at == len(self._text)

    def pairs(self, end: str, colon: str, depth: int = 0) -> dict[str, object]:
        """`key<colon>value` separated by commas, up to and with `end`."""
        values: dict[str, object] = {}
        while not self.skip(end):
            if values:
                self.expect(",")
                if self.skip(end):
                    break
            quoted = self._quoted()
            key = self.name() if quoted is None else quoted
            self.expect(colon)
            if key in values and depth == 0:
                raise Malformed("the same argument twice")
            values[key] = self.value(depth)
        return values

    def value(self, depth: int = 0) -> object:
        if depth > _DEEPEST:
            raise Malformed("nested too deep")
        text = self._quoted()
        if text is not None:
            return text
        if self.skip("{"):
            return self.pairs("}", ":", depth + 1)
        if self.skip("["):
            return self._items("]", depth + 1)
        return self._word()

    def _items(self, end: str, depth: int) -> list[object]:
        items: list[object] = []
        while not self.skip(end):
            if items:
                self.expect(",")
                if self.skip(end):
                    break
            items.append(self.value(depth))
        return items

    def _word(self) -> object:
        if number := _NUMBER.match(self._text, self.at):
            self.at = number.end()
            try:
                return read_json(number[0])
            except NotJson as error:
                raise Malformed(number[0]) from error
        word = self.name()
        if word not in _WORDS:
            raise Malformed(word)
        return _WORDS[word]

    def _quoted(self) -> str | None:
        self._space()
        for quote in self._dialect.quotes:
            if self._text.startswith(quote, self.at):
                begin = self.at + len(quote)
                end = _closing(self._text, begin, quote, escapes=self._dialect.escapes)
                if end < 0:
                    raise Malformed("text not closed")
                self.at = end + len(quote)
                inside = self._text[begin:end]
                return _ESCAPE.sub(_unescaped, inside) if self._dialect.escapes else inside
        return None

    def _space(self) -> None:
        self.at = past_space(self._text, self.at)


def _closing(text: str, begin: int, quote: str, *, escapes: bool) -> int:
    """Where the quote stands that ends a text begun before `begin`; -1 if nowhere."""
    at = begin
    while (end := text.find(quote, at)) >= 0:
        if not escapes:
            return end
        first = end
        while first > begin and text[first - 1] == "\\":
            first -= 1
        if (end - first) % 2 == 0:
            return end
        at = end + 1
    return -1


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code in _ESCAPED:
        return _ESCAPED[code]
    if len(code) == 11:  # two halves of one character, as JSON writes it
        high, low = int(code[1:5], 16), int(code[7:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if len(code) > 1 and int(code[1:], 16) < 0x110000:
        return chr(int(code[1:], 16))
    return found[0]
