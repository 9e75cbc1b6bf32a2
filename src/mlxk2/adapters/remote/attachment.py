"""The `Attachment` port: what a server on this machine holds, and the way to its models."""

import contextlib

from mlxk2.adapters.remote.calls import call, stream
from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.engine import RemoteEngine
from mlxk2.ports.attachment import Held, Line, Opened, ToOpen, ToUnload
from mlxk2.ports.engine import Engine, Loading, Watch, unwatched
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.servers import RunningServer

_LOOK_SECONDS = 10.0
_UNLOAD_SECONDS = 120.0
"""A model that is busy with a long step ends after it."""


class HttpAttachment:
    """Speaks to servers over HTTP, on loopback addresses only."""

    def open(self, server: RunningServer, model: str, watch: Watch = unwatched) -> tuple[Engine, int | None]:
        opened = _open(server, model, watch)
        return RemoteEngine(server, model, opened.info, watch), opened.budget

    def held(self, server: RunningServer) -> Held:
        return call(server, "status", {}, Held, _LOOK_SECONDS)

    def unload(self, server: RunningServer, model: str, *, force: bool) -> tuple[str, ...]:
        return call(server, "unload", ToUnload(model, force), tuple[str, ...], _UNLOAD_SECONDS)


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
