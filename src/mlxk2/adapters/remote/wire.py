"""What is said as JSON: bodies of `ports/attachment.py`, and the refusals of the layers that stand before them."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mlxk2.adapters.remote.records import from_json, reader_of, to_json
from mlxk2.ports.errors import EngineFailure, Mlxk2Error, Overloaded, ServerGone, ValidationError
from mlxk2.ports.servers import RunningServer
from mlxk2.ports.troubles import Trouble, error_of

T = TypeVar("T")


def encoded(body: object) -> bytes:
    """Raises ValidationError for what JSON cannot hold."""
    try:
        return to_json(body)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValidationError(f"This cannot be passed on to the server: {error}; correct it and ask again") from None


def decoded(content: bytes, kind: type[T], server: RunningServer) -> T:
    """Raises ServerGone for what is no such value: whatever said it is no server of this version."""
    return said(partial(from_json, content, kind), server)


def refusal_of(status: int, content: bytes, server: RunningServer) -> Mlxk2Error:
    """Why the server did not do what it was asked to, as the `/engine` paths say it or as its public APIs do."""
    try:
        refused = from_json(content, dict)
        if "failed" in refused:
            trouble: Trouble = reader_of(Trouble)(refused["failed"])
            return error_of(trouble)
        message = str(refused["error"]["message"])
    except (ValueError, TypeError, LookupError, RecursionError):
        message = f"HTTP status {status}"
    return _by_status(status, message, server)


def _by_status(status: int, message: str, server: RunningServer) -> Mlxk2Error:
    if status == 413:
        return ValidationError(message)
    if status in (429, 503):
        return Overloaded(message)
    if status >= 500:
        return EngineFailure(message)
    return ServerGone(f"The server at {server.url} does not let this program in: {message}")


def said(read: Callable[[], T], server: RunningServer) -> T:
    """What `read` makes of it. Raises as `decoded` does."""
    try:
        return read()
    except (ValueError, TypeError, RecursionError) as error:
        raise ServerGone(f"What listens at {server.url} does not speak as a server of mlxk2: {error}") from None
