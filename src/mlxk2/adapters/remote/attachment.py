"""The `Attachment` port: what a server on this machine holds, and the way to its models."""

from typing import TYPE_CHECKING

from mlxk2.adapters.remote.calls import call
from mlxk2.ports.servers import RunningServer

if TYPE_CHECKING:
    from mlxk2.ports.engine import Engine, Watch
    from mlxk2.ports.held import Held

_LOOK_SECONDS = 10.0
_UNLOAD_SECONDS = 120.0
"""A model that is busy with a long step ends after it."""


class HttpAttachment:
    """Speaks to servers over HTTP, on loopback addresses only."""

    def open(self, server: RunningServer, model: str, watch: "Watch | None" = None) -> "tuple[Engine, int | None]":
        from mlxk2.adapters.remote.opening import open_engine
        from mlxk2.ports.engine import unwatched

        return open_engine(server, model, watch or unwatched)

    def held(self, server: RunningServer) -> "Held":
        from mlxk2.ports.held import Held

        return call(server, "status", {}, Held, _LOOK_SECONDS)

    def unload(self, server: RunningServer, model: str, *, force: bool) -> tuple[str, ...]:
        from mlxk2.ports.held import ToUnload

        return call(server, "unload", ToUnload(model, force), tuple[str, ...], _UNLOAD_SECONDS)
