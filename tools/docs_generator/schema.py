"""docs/json-api-schema.json: a JSON Schema of everything that `--json` can print, derived from the records.

Every key of a record is required and no other is allowed, except that a field marked LEFT_OUT may be absent and is
never null. A `dict[str, Any]` is a document of the model's own and stays free-form.
"""

import dataclasses
import functools
import operator
import pkgutil
import types
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mlxk2.entrypoints.cli import records
from mlxk2.entrypoints.cli.parser import JSON_SPECS
from mlxk2.entrypoints.cli.records.answers import RunData
from mlxk2.entrypoints.cli.records.catalogue import DATA_OF_COMMAND, EVENT_OF_COMMAND
from mlxk2.entrypoints.cli.records.failures import ErrorObject
from mlxk2.entrypoints.cli.records.removal import LocksData
from mlxk2.entrypoints.cli.records.transfer import PullData

Schema = dict[str, Any]

_SIMPLE: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    types.NoneType: {"type": "null"},
    Any: {},
}


def json_schema() -> Schema:
    """The whole document: one definition a record, one envelope a command, one for every failure."""
    definitions = {name: _record(record) for name, record in sorted(_all_records().items())}
    envelopes = {f"{command}_success": _success(command, data) for command, data in DATA_OF_COMMAND.items()}
    envelopes["error"] = _failure()
    event = functools.reduce(operator.or_, EVENT_OF_COMMAND.values())
    events = {"event": {"description": "One line of `--jsonl`.", **_of_type(event)}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:mlxk2:json-api:{JSON_SPECS[0]}",
        "title": f"JSON API of mlxk2, version {JSON_SPECS[0]}",
        "description": "Generated from the program's records by tools/generate_docs.py. "
        "Every document that mlxk2 prints with --json is valid under it, and every line of --jsonl under $defs/event.",
        "anyOf": [_reference(name) for name in envelopes],
        "$defs": {**envelopes, **events, **definitions},
    }


def _success(command: str, data: Any) -> Schema:
    return _object(
        {
            "status": {"const": "success"},
            "command": {"const": command},
            "data": _of_type(data),
            "error": {"type": "null"},
        },
        description=f"The answer of `{command}`.",
    )


def _failure() -> Schema:
    """A failure may name any word as the command: it is what was typed."""
    return _object(
        {
            "status": {"const": "error"},
            "command": {"type": "string"},
            "data": _of_type(LocksData | PullData | RunData | None),
            "error": _of_type(ErrorObject),
        },
        description="Any failure; `data` is null except for `locks_present`, for failures of `pull`, and for an answer "
        "of `run` that ended before its JSON was complete.",
    )


def _all_records() -> dict[str, Any]:
    modules = [import_module(f"{records.__name__}.{one.name}") for one in pkgutil.iter_modules(records.__path__)]
    found = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
    return {record.__name__: record for record in found if dataclasses.is_dataclass(record)}


def _record(record: Any) -> Schema:
    hints = get_type_hints(record)
    properties, optional = {}, []
    for entry in dataclasses.fields(record):
        properties[entry.name] = _of_type(hints[entry.name])
        if entry.metadata.get("left_out"):
            optional.append(entry.name)
            properties[entry.name] = _without_null(hints[entry.name])
    return _object(properties, optional=optional, description=_documentation(record))


def _object(properties: Schema, *, optional: list[str] | None = None, description: str | None = None) -> Schema:
    return {
        **({"description": description} if description else {}),
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in (optional or [])],
        "additionalProperties": False,
    }


def _of_type(hint: Any) -> Schema:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _reference(hint.__name__)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of_type(argument) for argument in arguments]}
    return dict(_SIMPLE[hint])


def _without_null(hint: Any) -> Schema:
    rest = [argument for argument in get_args(hint) if argument is not types.NoneType]
    return _of_type(rest[0]) if len(rest) == 1 else {"anyOf": [_of_type(argument) for argument in rest]}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _documentation(record: Any) -> str | None:
    """The record's own docstring; the one that `dataclass` makes up is the bare signature."""
    text = record.__doc__ or ""
    return None if text.startswith(f"{record.__name__}(") else " ".join(text.split())
