"""The `Servers` port in memory: those that a test names, and those that announce themselves."""

import os

from mlxk2.ports.errors import AccessProblem
from mlxk2.ports.servers import RunningServer


class MemoryServers:
    """`logs` is the folder for log files; without one, they are refused. Servers end when a test calls `end`."""

    def __init__(self, *servers: RunningServer, logs: str | None = None) -> None:
        self._servers = {server.pid: server for server in servers}
        self._logs = logs

    def running(self) -> tuple[RunningServer, ...]:
        return tuple(sorted(self._servers.values(), key=lambda server: server.started, reverse=True))

    def announce(self, server: RunningServer) -> None:
        self._servers[server.pid] = server

    def withdraw(self, server: RunningServer) -> None:
        self.end(server.pid)

    def log_file(self, port: int) -> str:
        if self._logs is None:
            raise AccessProblem("There is no folder for logs; give MemoryServers one")
        os.makedirs(self._logs, exist_ok=True)
        return os.path.join(os.path.abspath(self._logs), f"server-{port}.log")

    def end(self, pid: int) -> None:
        """The process of this id has ended, or never was."""
        self._servers.pop(pid, None)
