"""Servers of this program on this machine, of the same user: where they can be reached, and by what they are known."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`url` reaches it from this machine. `key` opens it for the user who runs it, and is never shown.

    `cache` is the absolute path of the cache whose models it serves, `started` in seconds since the epoch, `log` the
    path of the file that holds its log, `version` the program's.
    """

    url: str
    key: str = field(repr=False)
    pid: int
    port: int
    cache: str
    version: str
    started: float
    log: str


class Servers(Protocol):
    """What is known of them outlives no server: one that was killed is not found."""

    def running(self) -> tuple[RunningServer, ...]:
        """Those whose process lives, the one that was started last first. What cannot be read counts as not there."""

    def announce(self, server: RunningServer) -> None:
        """Make it known to this user's other programs. Raises `errors.AccessProblem`."""

    def withdraw(self, server: RunningServer) -> None:
        """Forget it. Raises nothing."""

    def log_file(self, port: int) -> str:
        """The absolute path where the log of the server on this port belongs; its folder is there afterwards.

        Raises `errors.AccessProblem`.
        """
