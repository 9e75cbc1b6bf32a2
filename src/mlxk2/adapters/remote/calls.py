"""Questions to a server that have one answer."""

from typing import TypeVar

from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.wire import decoded, encoded, refusal_of
from mlxk2.ports.servers import RunningServer

T = TypeVar("T")


def call(server: RunningServer, path: str, body: object, answer: type[T], patience: float) -> T:
    """Blocks for the answer. Raises what the server refuses with, ServerGone, and ValidationError."""
    content = encoded(body)
    with Connection(server) as connection:
        reply = connection.ask(path, content, patience)
        said = reply.read()
        if reply.status != 200:
            raise refusal_of(reply.status, said, server)
        return decoded(said, answer, server)
