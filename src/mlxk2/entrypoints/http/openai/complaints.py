"""What is wrong with a body, in the words that OpenAI's API has for it, with the path of the parameter.

msgspec names place and reason in one sentence, which is taken apart here. Where a client asks for what this server does
not have, the sentence says so and what to do instead (`absent.py`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from mlxk2.entrypoints.http.errors import Refusal, refusal
from mlxk2.entrypoints.http.openai.absent import absent_field, absent_value
from mlxk2.entrypoints.http.openai.paths import Path, written
from mlxk2.entrypoints.http.openai.supported import supported_values

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_KINDS = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a number",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a string",
}
_SHOWN = 60
"""So many characters of a wrong value are repeated."""


def decode(body: bytes, wanted: type[T]) -> T:
    """Raises Refusal that names the parameter."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise _told(str(error), body, wanted) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal(f"The request body is not valid JSON: {error}", code="invalid_json") from None


def complaint(parameter: str, message: str, code: str = "invalid_value") -> Refusal:
    """The refusal of a value that cannot be meant; `parameter` is written like `messages[2].content`."""
    return refusal(message, parameter, code)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is wrong: in which body, of which type, and at which path."""

    body: Any
    wanted: object
    path: Path

    def at(self, *steps: str) -> str:
        """The path as OpenAI's errors write it, with more steps."""
        return written((*self.path, *steps))


def _told(sentence: str, body: bytes, wanted: object) -> Refusal:
    found = _PLACE.match(sentence)
    reason, place = (found["reason"], found["path"] or "") if found else (sentence, "")
    path = tuple(name or index for name, index in _STEP.findall(place))
    where = _Place(_whole(body), wanted, path)
    absent = absent_value(where.body, path)
    if absent is not None:
        return complaint(written(absent.path), absent.message, "unsupported_value")
    for pattern, tell in _WORDINGS:
        if match := pattern.match(reason):
            return tell(where, match)
    return complaint(where.at(), f"Invalid '{where.at()}': {reason}.")


def _whole(body: bytes) -> Any:
    """The body without a type; nothing, where what is wrong with it is no matter of types."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _unknown(where: _Place, match: re.Match[str]) -> Refusal:
    name = where.at(match[1][:_SHOWN])
    return complaint(name, f"Unrecognized request argument supplied: {name}", "unknown_parameter")


def _missing(where: _Place, match: re.Match[str]) -> Refusal:
    name = where.at(match[1])
    return complaint(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")


def _another_type(where: _Place, match: re.Match[str]) -> Refusal:
    expected = [_KINDS[kind] for kind in match[1].split(" | ") if kind != "null"]
    if not where.path:
        return refusal(f"The request body must be {expected[0]} of JSON, but it is {_KINDS[match[2]]}.")
    name = where.at()
    if not expected:
        return complaint(name, f"{name} is not supported: {absent_field(where.path)}", "unsupported_parameter")
    got = "a decimal number" if match[2] == "float" else _KINDS[match[2]]
    told = f"expected {' or '.join(expected)}, but got {got} instead."
    return complaint(name, f"Invalid type for '{name}': {told}", "invalid_type")


def _another_value(where: _Place, match: re.Match[str]) -> Refusal:
    name, value = where.at(), match[1][:_SHOWN]
    values = ", ".join(f"'{value}'" for value in supported_values(where.wanted, where.path))
    return complaint(name, f"Invalid value for '{name}': '{value}'. Supported values: {values}.")


def _out_of_range(where: _Place, match: re.Match[str]) -> Refusal:
    than = {">=": "or more", "<=": "or less"}[match[1]]
    return complaint(where.at(), f"Invalid '{where.at()}': it must be {match[2].removesuffix('.0')} {than}.")


def _length(where: _Place, match: re.Match[str]) -> Refusal:
    name = where.at()
    if match[1] == "<=" and match[2] == "0":
        return complaint(name, f"{name} is not supported: {absent_field(where.path)}", "unsupported_parameter")
    least = "at least" if match[1] == ">=" else "at most"
    return complaint(name, f"Invalid '{name}': it must have a length of {least} {match[2]}.")


_WORDINGS: tuple[tuple[re.Pattern[str], Callable[[_Place, re.Match[str]], Refusal]], ...] = (
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), _unknown),
    (re.compile(r"Object missing required field `(.*)`"), _missing),
    (re.compile(r"Expected `([a-z |]+)`, got `(\w+)`$"), _another_type),
    (re.compile(r"Invalid (?:enum )?value '?(.*?)'?$", re.DOTALL), _another_value),
    (re.compile(r"Expected `\w+` of length (>=|<=) (\d+)"), _length),
    (re.compile(r"Expected `\w+` (>=|<=) (\S+)"), _out_of_range),
)
