"""Questions to a server whose answer is a stream of lines."""

from collections.abc import Iterable, Iterator
from functools import partial

from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.records import from_json
from mlxk2.adapters.remote.wire import encoded, refusal_of, said
from mlxk2.ports.attachment import Line
from mlxk2.ports.errors import Mlxk2Error, ServerGone
from mlxk2.ports.servers import RunningServer
from mlxk2.ports.troubles import error_of

STREAM_SECONDS = 60.0
"""A server says every few seconds that it is there; one that has said nothing for so long is hung."""


def stream(connection: Connection, server: RunningServer, path: str, body: object) -> Iterator[list[Line]]:
    """What comes together, as it comes. Raises as `call` does, and what the stream ends with when that is an error.

    Whoever reads stops at the line that comes last; a stream that ends before it raises ServerGone.
    """
    reply = connection.ask(path, encoded(body), STREAM_SECONDS)
    if reply.status != 200:
        raise refusal_of(reply.status, reply.read(), server)
    for group in _lines(reply.pieces(), server):
        for place, line in enumerate(group):
            error = _failure_of(line, server)
            if error is not None:
                yield group[:place]
                raise error
        yield group
    raise ServerGone(f"The server at {server.url} has stopped in the middle of an answer; ask again")


def _lines(pieces: Iterable[bytes], server: RunningServer) -> Iterator[list[Line]]:
    """The lines of each piece, as far as they are complete. Raises as `decoded` does."""
    rest = b""
    for piece in pieces:
        whole, _, rest = (rest + piece).rpartition(b"\n")
        yield said(partial(_read_lines, whole), server)


def _read_lines(text: bytes) -> list[Line]:
    return [from_json(line, Line) for line in text.split(b"\n") if line]


def _failure_of(line: Line, server: RunningServer) -> Mlxk2Error | None:
    """The error that the line tells of."""
    failed = line.failed
    return None if failed is None else said(partial(error_of, failed), server)
