"""What all records are, and how they become JSON."""

from dataclasses import Field, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

LEFT_OUT = {"left_out": True}
"""Marks a field that is absent from the JSON object while it is None."""


class Data(Protocol):
    """Any record."""

    __dataclass_fields__: ClassVar[dict[str, "Field[Any]"]]


def to_json(value: Any) -> Any:
    """Records as plain JSON values, left-out fields dropped."""
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    names = _field_names(value.__class__)
    if names is None:
        return value
    return {
        name: to_json(content)
        for name, left_out in names
        if (content := getattr(value, name)) is not None or not left_out
    }


@cache
def _field_names(kind: type) -> tuple[tuple[str, bool], ...] | None:
    """(name, left out while None) of a record's fields; None for whatever is no record."""
    if not is_dataclass(kind):
        return None
    return tuple((entry.name, bool(entry.metadata.get("left_out"))) for entry in fields(kind))
