"""The ports' records as JSON, and JSON as records: checked by their declarations, field by field.

The other side does the same with msgspec, which takes longer to import than a question takes to be asked.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, NoReturn, TypeVar, get_args, get_origin

T = TypeVar("T")

Reader = Callable[[Any], Any]
"""From what JSON holds to a value of one kind. Raises ValueError and TypeError for what is no such value."""


def to_json(value: object) -> bytes:
    """Raises ValueError, TypeError and RecursionError for what JSON cannot hold."""
    text = json.dumps(value, default=_plain_record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def from_json(content: bytes, kind: type[T]) -> T:
    """Unknown fields of records are passed over. Raises ValueError, TypeError and RecursionError."""
    declared: Any = kind
    value: T = reader_of(declared)(json.loads(content, parse_constant=_refuse_constant))
    return value


@cache
def reader_of(kind: Any) -> Reader:
    """`kind`: a record, a named tuple, an enum, a plain type, and sequences and unions of these."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _union(tuple(map(reader_of, inner)))
    if origin in (tuple, list):
        return _sequence(origin, inner)
    if is_dataclass(kind):
        return _record(kind)
    if issubclass(kind, tuple):
        return _named_row(kind)
    return kind if issubclass(kind, Enum) else _plain(kind)


def _plain(kind: type) -> Reader:
    """JSON has one kind of numbers: 1 is a float, too, but true is no number."""
    accepted = (int, float) if kind is float else (kind,)

    def read(value: Any) -> Any:
        if type(value) not in accepted:
            raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
        return kind(value) if kind is float else value

    return read


def _union(readers: tuple[Reader, ...]) -> Reader:
    def read(value: Any) -> Any:
        for reader in readers:
            try:
                return reader(value)
            except (ValueError, TypeError) as error:
                refused = error
        raise refused

    return read


def _sequence(kind: Any, inner: tuple[Any, ...]) -> Reader:
    if kind is tuple and inner[-1] is not Ellipsis:
        return _row(lambda *values: values, tuple(map(reader_of, inner)), len(inner))
    reader = reader_of(inner[0])

    def read(value: Any) -> Any:
        return kind(map(reader, _listed(value)))

    return read


def _row(make: Callable[..., Any], readers: Sequence[Reader], least: int) -> Reader:
    """One reader a place; `least` of the places must be there."""

    def read(value: Any) -> Any:
        if not least <= len(_listed(value)) <= len(readers):
            raise ValueError(f"a list of {len(value)}, where {len(readers)} were expected")
        return make(*(reader(item) for reader, item in zip(readers, value, strict=False)))

    return read


def _named_row(kind: Any) -> Reader:
    readers = tuple(map(reader_of, kind.__annotations__.values()))
    return _row(kind, readers, len(readers) - len(kind._field_defaults))


def _record(kind: Any) -> Reader:
    types: list[tuple[str, Any]] = [(field.name, field.type) for field in fields(kind)]
    readers = [(name, reader_of(declared)) for name, declared in types]

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
        return kind(**{name: reader(value[name]) for name, reader in readers if name in value})

    return read


def _listed(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError(f"{type(value).__name__} where a list was expected")
    return value


def _plain_record(value: Any) -> dict[str, object]:
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} has no place in JSON")
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
