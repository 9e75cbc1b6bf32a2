"""What this user's running servers have in memory now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlxk2.domain.servers import check_version, chosen_servers
from mlxk2.ports.errors import Mlxk2Error

if TYPE_CHECKING:
    from mlxk2.ports.attachment import Attachment
    from mlxk2.ports.held import Held
    from mlxk2.ports.servers import RunningServer, Servers


@dataclass(frozen=True, slots=True)
class ServerView:
    """A running server and what it holds; when that cannot be told, `held` is None and `problem` says why."""

    server: "RunningServer"
    held: "Held | None"
    problem: str | None = None


class WatchServers:
    """One look a call. `attachment` makes the port when there is a server to ask; `version` is this program's own."""

    def __init__(self, servers: "Servers", attachment: "Callable[[], Attachment]", version: str) -> None:
        self._servers = servers
        self._attachment = attachment
        self._version = version

    def __call__(self, port: int | None = None) -> tuple[ServerView, ...]:
        """Every server, the one that was started last first, or the one on `port`. One that fails hides no other.

        Raises ServerGone when none listens on `port`.
        """
        return tuple(self._view(server) for server in chosen_servers(self._servers, port))

    def _view(self, server: "RunningServer") -> ServerView:
        try:
            check_version(server, self._version)
            return ServerView(server, self._attachment().held(server))
        except Mlxk2Error as error:
            return ServerView(server, None, error.message)
