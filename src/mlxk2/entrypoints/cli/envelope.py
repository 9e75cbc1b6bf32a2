"""The JSON document that every command prints with `--json`."""

import json
import re
from dataclasses import replace
from math import isfinite, isnan
from typing import TYPE_CHECKING

from mlxk2.domain.names import spelled_out
from mlxk2.entrypoints.cli.records.base import Data, to_json
from mlxk2.ports.errors import (
    AmbiguousMatch,
    ContextExceeded,
    LocksPresent,
    Mlxk2Error,
    NotEnoughMemory,
    OperationError,
)

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.records.failures import ErrorObject

Document = dict[str, object]

_NO_TEXT = re.compile("[\ud800-\udfff]")
_STEERING = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What JSON need not escape but steers a terminal, where JSON is read, too; a model's answer may hold it."""


def success(command: str, data: Data) -> Document:
    return {"status": "success", "command": command, "data": to_json(data), "error": None}


def failure(command: str, error: Mlxk2Error, data: Data | None = None) -> Document:
    """`data` is what the command wants beside the error; some errors bring their own."""
    content = to_json(data or _error_data(error))
    return {"status": "error", "command": command, "data": content, "error": to_json(error_object(error))}


def render(document: Document, *, pretty: bool) -> str:
    """The text of a document: indented for a person at a terminal, on one line for programs."""
    indent = 2 if pretty else None
    try:
        text = _dump(document, indent)
    except RecursionError as error:
        raise OperationError("The document is nested too deeply to be printed; leave --config out") from error
    return _STEERING.sub(_escaped, _NO_TEXT.sub(_spelled_out, text))


def _spelled_out(match: re.Match[str]) -> str:
    """Half of a surrogate pair, which many readers of JSON refuse, as text: `\\xff` for a byte of a file's name."""
    return spelled_out(match[0]).replace("\\", "\\\\")


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def error_object(error: Mlxk2Error) -> "ErrorObject":
    """The error as scripts see it."""
    from mlxk2.entrypoints.cli.records.failures import ErrorObject

    plain = ErrorObject(type=error.type, message=error.message, details=error.details)
    match error:
        case AmbiguousMatch():
            hashes = list(error.available_hashes) or None
            return replace(plain, matches=list(error.matches) or None, available_hashes=hashes)
        case ContextExceeded():
            return replace(plain, prompt_tokens=error.prompt_tokens, context_length=error.context_length)
        case NotEnoughMemory():
            return replace(plain, needed_bytes=error.needed_bytes, limit_bytes=error.limit_bytes)
    return plain


def _error_data(error: Mlxk2Error) -> Data | None:
    """What an error's envelope has under `data`."""
    if isinstance(error, LocksPresent):
        from mlxk2.entrypoints.cli.records.removal import LocksData

        return LocksData(model=error.model, locks_detected=True, lock_files=list(error.lock_files))
    return None


def _dump(document: object, indent: int | None) -> str:
    """A config.json may hold numbers that JSON does not have; these become their names."""
    try:
        return json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_with_named_numbers(document), indent=indent, ensure_ascii=False)


def _with_named_numbers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_named_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_named_numbers(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
