"""JSON as models write it: raw line breaks in strings are let through, NaN and Infinity are not."""

import json
from typing import NoReturn

_SPACE = " \t\r\n"
_LARGEST = 1.7976931348623157e308


class NotJson(ValueError):
    """The text is not a JSON value."""


def _refuse(word: str) -> NoReturn:
    raise NotJson(word)


def _finite(digits: str) -> float:
    """A number as near as it can be held: JSON's grammar allows those for which there is no room."""
    return max(-_LARGEST, min(float(digits), _LARGEST))


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)


def read_json(text: str) -> object:
    """The value that the whole text is. Raises NotJson."""
    value, end = read_json_at(text, 0)
    if text[end:].strip(_SPACE):
        raise NotJson(text[end:])
    return value


def read_json_at(text: str, at: int) -> tuple[object, int]:
    """The value that begins at `at`, after space, and where it ends. Raises NotJson."""
    while at < len(text) and text[at] in _SPACE:
        at += 1
    try:
        return _DECODER.raw_decode(text, at)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def write_json(value: object) -> str:
    """The value as JSON, in the spelling that chat templates use; halves of characters stay escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if any("\ud800" <= char <= "\udfff" for char in text) else text
