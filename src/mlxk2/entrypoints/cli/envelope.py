"""The JSON document that every command prints with `--json`."""

import json

from mlxk2.entrypoints.cli.records import Data, ErrorObject, LocksData, to_json
from mlxk2.ports.errors import AmbiguousMatch, LocksPresent, Mlxk2Error


def success(command: str, data: Data) -> str:
    return _render({"status": "success", "command": command, "data": to_json(data), "error": None})


def failure(command: str, error: Mlxk2Error) -> str:
    data = to_json(_error_data(error))
    return _render({"status": "error", "command": command, "data": data, "error": to_json(_error_object(error))})


def _error_object(error: Mlxk2Error) -> ErrorObject:
    matches = error.matches if isinstance(error, AmbiguousMatch) else ()
    hashes = error.available_hashes if isinstance(error, AmbiguousMatch) else ()
    return ErrorObject(
        type=error.type,
        message=error.message,
        matches=list(matches) or None,
        available_hashes=list(hashes) or None,
        details=error.details,
    )


def _error_data(error: Mlxk2Error) -> Data | None:
    """What an error's envelope has under `data`."""
    if isinstance(error, LocksPresent):
        return LocksData(model=error.model, locks_detected=True, lock_files=list(error.lock_files))
    return None


def _render(document: dict[str, object]) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(document, indent=2)
    return text
