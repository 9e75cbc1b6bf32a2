"""What is said as JSON: bodies of `ports/attachment.py`, and the refusals of the layers that stand before them."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from mlxk2.ports.attachment import Line
from mlxk2.ports.errors import EngineFailure, Mlxk2Error, Overloaded, ServerGone, ValidationError
from mlxk2.ports.servers import RunningServer
from mlxk2.ports.troubles import error_of

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_LINES = msgspec.json.Decoder(Line)


class _Problem(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    """An error as the server's public APIs say it."""

    error: _Problem


def encoded(body: object) -> bytes:
    """Raises ValidationError for what JSON cannot hold."""
    try:
        return _ENCODER.encode(body)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValidationError(f"This cannot be passed on to the server: {error}; correct it and ask again") from None


def decoded(content: bytes, kind: type[T], server: RunningServer) -> T:
    """Raises ServerGone for what is no such value: whatever said it is no server of this version."""
    return _read(partial(msgspec.json.Decoder(kind).decode, content), server)


def lines(pieces: Iterable[bytes], server: RunningServer) -> Iterator[list[Line]]:
    """The lines of each piece, as far as they are complete. Raises as `decoded` does."""
    rest = b""
    for piece in pieces:
        whole, _, rest = (rest + piece).rpartition(b"\n")
        yield _read(partial(_LINES.decode_lines, whole), server)


def failure_of(line: Line, server: RunningServer) -> Mlxk2Error | None:
    """The error that the line tells of."""
    failed = line.failed
    return None if failed is None else _read(partial(error_of, failed), server)


def refusal_of(status: int, content: bytes, server: RunningServer) -> Mlxk2Error:
    """Why the server did not do what it was asked to."""
    try:
        told = failure_of(_LINES.decode(content), server)
        return told or _by_status(status, msgspec.json.decode(content, type=_Refusal).error.message, server)
    except (ValueError, RecursionError, ServerGone):
        return _by_status(status, f"HTTP status {status}", server)


def _by_status(status: int, message: str, server: RunningServer) -> Mlxk2Error:
    if status == 413:
        return ValidationError(message)
    if status in (429, 503):
        return Overloaded(message)
    if status >= 500:
        return EngineFailure(message)
    return ServerGone(f"The server at {server.url} does not let this program in: {message}")


def _read(read: Callable[[], T], server: RunningServer) -> T:
    try:
        return read()
    except (ValueError, TypeError, RecursionError) as error:
        raise ServerGone(f"What listens at {server.url} does not speak as a server of mlxk2: {error}") from None
