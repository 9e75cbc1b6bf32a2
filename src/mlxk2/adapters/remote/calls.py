"""Questions to a server that have one answer, and those whose answer is a stream."""

from collections.abc import Iterator
from typing import TypeVar

from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.wire import decoded, encoded, failure_of, lines, refusal_of
from mlxk2.ports.attachment import Line
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.servers import RunningServer

T = TypeVar("T")

STREAM_SECONDS = 60.0
"""A server says every few seconds that it is there; one that has said nothing for so long is hung."""


def call(server: RunningServer, path: str, body: object, answer: type[T], patience: float) -> T:
    """Blocks for the answer. Raises what the server refuses with, ServerGone, and ValidationError."""
    content = encoded(body)
    with Connection(server) as connection:
        reply = connection.ask(path, content, patience)
        said = reply.read()
        if reply.status != 200:
            raise refusal_of(reply.status, said, server)
        return decoded(said, answer, server)


def stream(connection: Connection, server: RunningServer, path: str, body: object) -> Iterator[list[Line]]:
    """What comes together, as it comes. Raises as `call` does, and what the stream ends with when that is an error.

    Whoever reads stops at the line that comes last; a stream that ends before it raises ServerGone.
    """
    reply = connection.ask(path, encoded(body), STREAM_SECONDS)
    if reply.status != 200:
        raise refusal_of(reply.status, reply.read(), server)
    for group in lines(reply.pieces(), server):
        for place, line in enumerate(group):
            error = failure_of(line, server)
            if error is not None:
                yield group[:place]
                raise error
        yield group
    raise ServerGone(f"The server at {server.url} has stopped in the middle of an answer; ask again")
