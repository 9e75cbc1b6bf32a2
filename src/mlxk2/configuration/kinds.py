"""Kinds of options: how a value is written on the command line, in a variable and in TOML, and what may be a value.

`read` takes the text of a flag or a variable, `take` a value of TOML; both raise ValueError for what is no such value,
and `takes` says in words what would be one. Imports nothing of weight: the parser stands on it.
"""

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Word = TypeVar("Word", bound=str)
Schema = dict[str, Any]

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(s|m|h|d)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([KMGT]i?B|B)?")
_SIZES = {None: 1, "B": 1} | {
    f"{letter}{middle}B": base**power
    for middle, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("KMGT", 1)
}

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Kind(Generic[T]):
    """What an option holds. `metavar` stands for a value in usages, `takes` describes one in a sentence."""

    metavar: str
    takes: str
    is_list = False
    is_flag = False
    is_path = False
    choices: Sequence[str] = ()

    def read(self, text: str) -> T:
        raise NotImplementedError

    def take(self, value: object) -> T:
        """Most kinds are written in TOML as everywhere else."""
        if not isinstance(value, str):
            raise ValueError
        return self.read(value)

    def show(self, value: T) -> str:
        """The value as a person would write it; `read` understands it."""
        return str(value)

    def schema(self) -> Schema:
        """JSON Schema of the value in a file."""
        return {"type": "string", "pattern": r"\S"}


class Text(Kind[str]):
    def __init__(self, metavar: str, takes: str) -> None:
        self.metavar = metavar
        self.takes = takes

    def read(self, text: str) -> str:
        if not text.strip():
            raise ValueError
        return text.strip()


class File(Text):
    """The path of a file, relative to the current folder, or to the folder of the configuration file it stands in."""

    is_path = True

    def __init__(self) -> None:
        super().__init__("FILE", "the path of a file")


class Texts(Kind[tuple[str, ...]]):
    """A list: a flag given several times, or one with commas; an array in TOML."""

    is_list = True

    def __init__(self, metavar: str, takes: str) -> None:
        self.metavar = metavar
        self.takes = takes

    def read(self, text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(","))
        if not all(found):
            raise ValueError
        return found

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise ValueError
        return tuple(item.strip() for item in value)

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "pattern": r"\S"}}


class Whole(Kind[int]):
    metavar = "N"

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._highest = highest
        self.takes = f"a whole number from {lowest} to {highest}"

    def read(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text.strip(), re.ASCII):
            raise ValueError
        return self._checked(int(text))

    def take(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        return self._checked(value)

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self._lowest, "maximum": self._highest}

    def _checked(self, number: int) -> int:
        if not self._lowest <= number <= self._highest:
            raise ValueError
        return number


class Duration(Kind[float]):
    """Seconds."""

    metavar = "TIME"

    def __init__(self, lowest: float, highest: float) -> None:
        self._lowest = lowest
        self._highest = highest
        span = f"from {self.show(lowest)} to {self.show(highest)}"
        self.takes = f"a time such as 90, 30s, 5m or 2h, {span}"

    def read(self, text: str) -> float:
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise ValueError
        return self._checked(float(match[1]) * _SECONDS[match[2]])

    def take(self, value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._checked(float(value))
        return super().take(value)

    def show(self, value: float) -> str:
        unit = next((unit for unit in ("d", "h", "m") if value and value % _SECONDS[unit] == 0), "s")
        return f"{value / _SECONDS[unit]:.6f}".rstrip("0").rstrip(".") + unit

    def schema(self) -> Schema:
        return {
            "anyOf": [
                {"type": "number", "minimum": self._lowest, "maximum": self._highest},
                {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
            ]
        }

    def _checked(self, seconds: float) -> float:
        if not self._lowest <= seconds <= self._highest:  # also refuses nan
            raise ValueError
        return seconds


class Bytes(Kind[int]):
    metavar = "SIZE"

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._highest = highest
        self.takes = f"a size such as 512MB or 8GiB, from {self.show(lowest)} to {self.show(highest)}"

    def read(self, text: str) -> int:
        match = _BYTES.fullmatch(text.strip())
        if match is None:
            raise ValueError
        return self._checked(round(float(match[1]) * _SIZES[match[2]]) if match[2] else int(match[1]))

    def take(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return self._checked(value)
        return super().take(value)

    def show(self, value: int) -> str:
        units = sorted(((size, unit) for unit, size in _SIZES.items() if unit), reverse=True)
        size, unit = next((size, unit) for size, unit in units if value % size == 0 and (value or size == 1))
        return f"{value // size}{unit}"

    def schema(self) -> Schema:
        return {
            "anyOf": [
                {"type": "integer", "minimum": self._lowest, "maximum": self._highest},
                {"type": "string", "pattern": f"^{_BYTES.pattern}$"},
            ]
        }

    def _checked(self, number: int) -> int:
        if not self._lowest <= number <= self._highest:
            raise ValueError
        return number


class Choice(Kind[Word]):
    def __init__(self, metavar: str, choices: Sequence[Word]) -> None:
        self.metavar = metavar
        self.choices: Sequence[Word] = tuple(choices)
        self.takes = f"{', '.join(choices[:-1])} or {choices[-1]}"

    def read(self, text: str) -> Word:
        for word in self.choices:
            if word == text:
                return word
        raise ValueError

    def schema(self) -> Schema:
        return {"enum": list(self.choices)}


class Switch(Kind[bool]):
    """On or off: a flag without a value."""

    is_flag = True
    takes = "true or false"

    def read(self, text: str) -> bool:
        try:
            return _WORDS[text.strip().lower()]
        except KeyError:
            raise ValueError from None

    def take(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def show(self, value: bool) -> str:  # noqa: FBT001 - the value itself
        return "true" if value else "false"

    def schema(self) -> Schema:
        return {"type": "boolean"}


class Or(Kind[T | None]):
    """A value, or a word for there being none: `auto`, `none`, `never`."""

    def __init__(self, word: str, kind: Kind[T]) -> None:
        self._word = word
        self._kind = kind
        self.metavar = kind.metavar
        self.takes = f"{kind.takes}, or {word}"
        self.is_path = kind.is_path

    def read(self, text: str) -> T | None:
        return None if text.strip() == self._word else self._kind.read(text)

    def take(self, value: object) -> T | None:
        return None if value == self._word else self._kind.take(value)

    def show(self, value: T | None) -> str:
        return self._word if value is None else self._kind.show(value)

    def schema(self) -> Schema:
        return {"anyOf": [{"const": self._word}, self._kind.schema()]}
