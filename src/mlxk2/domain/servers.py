"""Which of the running servers is meant, and whether this program can speak to it."""

from typing import TYPE_CHECKING

from mlxk2.ports.errors import ServerGone

if TYPE_CHECKING:
    from mlxk2.ports.servers import RunningServer, Servers


def chosen_servers(servers: "Servers", port: int | None) -> "tuple[RunningServer, ...]":
    """Those that run, the one that was started last first; with `port`, the one that listens there.

    Raises ServerGone when none listens on the port that was asked for.
    """
    running = servers.running()
    if port is None:
        return running
    meant = tuple(server for server in running if server.port == port)
    if not meant:
        others = ", ".join(str(server.port) for server in running)
        step = f"yours are on {others}" if others else f"start one with: mlxk2 serve --port {port}"
        raise ServerGone(f"No server of yours is running on port {port}; {step}")
    return meant


def check_version(server: "RunningServer", version: str) -> None:
    """Raises ServerGone for a server of another version than `version`: what is said to one another may differ."""
    if server.version != version:
        raise ServerGone(
            f"The server on port {server.port} is version {server.version} and this is {version}; start it again"
        )
