"""Having a server load a model: a stream that tells how far it is, and at the end what the engine is like."""

import contextlib

from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.engine import RemoteEngine
from mlxk2.adapters.remote.streams import stream
from mlxk2.ports.attachment import Line, Opened, ToOpen
from mlxk2.ports.engine import Loading, Watch
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.servers import RunningServer


def open_engine(server: RunningServer, model: str, watch: Watch) -> tuple[RemoteEngine, int | None]:
    """The engine of `model`, which is `name@commit`, and its budget. Raises as `stream` does."""
    opened = _open(server, model, watch)
    return RemoteEngine(server, model, opened.info, watch), opened.budget


def _open(server: RunningServer, model: str, watch: Watch) -> Opened:
    with Connection(server) as connection:
        for group in stream(connection, server, "open", ToOpen(model)):
            for line in group:
                if line.opened is not None:
                    return line.opened
                _show(line, watch)
    raise ServerGone(f"The server at {server.url} has not said whether '{model}' is loaded; try again")


def _show(line: Line, watch: Watch) -> None:
    if line.stage is not None:
        with contextlib.suppress(Exception):  # whoever watches does not stop what is watched
            watch(Loading(line.stage))
