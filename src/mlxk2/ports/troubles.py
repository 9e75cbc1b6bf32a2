"""Errors as they travel between processes: a class's name and its values on one side, the same class on the other.

The table names what a class of `ports/errors.py` carries beside its message and details.
"""

from typing import Any, NamedTuple

from mlxk2.ports import errors
from mlxk2.ports.errors import Mlxk2Error

FIELDS: dict[type[Mlxk2Error], tuple[str, ...]] = {
    Mlxk2Error: (),
    errors.ValidationError: ("parameter",),
    errors.UsageError: ("usage",),
    errors.AmbiguousMatch: ("matches", "available_hashes"),
    errors.ModelNotFound: (),
    errors.LocksPresent: ("model", "lock_files"),
    errors.AccessProblem: (),
    errors.NetworkProblem: (),
    errors.RateLimited: ("retry_after",),
    errors.DownloadFailed: (),
    errors.NotOnHub: ("missing",),
    errors.Unauthorised: (),
    errors.Gated: ("page",),
    errors.DiskFull: (),
    errors.OperationError: (),
    errors.ContextExceeded: ("prompt_tokens", "context_length"),
    errors.NotEnoughMemory: ("needed_bytes", "limit_bytes"),
    errors.Overloaded: (),
    errors.EngineFailure: (),
    errors.ServerGone: (),
    errors.Conflict: (),
    errors.Interrupted: (),
    errors.InternalError: (),
}
_CLASSES = {kind.__name__: kind for kind in FIELDS}

Value = str | int | float | tuple[str, ...] | None


class Trouble(NamedTuple):
    """An error as it travels; `values` are those that `FIELDS` names, in its order."""

    name: str
    message: str
    details: str | None
    values: tuple[Value, ...]


def trouble_of(error: Mlxk2Error) -> Trouble:
    """A message may name a file whose name is no UTF-8: what cannot be encoded is replaced."""
    kind = next(kind for kind in type(error).__mro__ if kind in FIELDS)
    return Trouble(
        kind.__name__,
        _encodable(error.message),
        None if error.details is None else _encodable(error.details),
        tuple(_clean(getattr(error, name)) for name in FIELDS[kind]),
    )


def error_of(trouble: Trouble) -> Mlxk2Error:
    """Raises ValueError for a name or values that no error has."""
    kind = _CLASSES.get(trouble.name)
    if kind is None:
        raise ValueError(f"No error is called {trouble.name!r}")
    make: Any = kind
    error: Mlxk2Error = make(trouble.message, **dict(zip(FIELDS[kind], trouble.values, strict=True)))
    error.details = trouble.details
    return error


def _clean(value: Value) -> Value:
    if isinstance(value, str):
        return _encodable(value)
    return tuple(map(_encodable, value)) if isinstance(value, tuple) else value


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
