"""A server that this user's other programs can find while it runs, and whose log they can read also afterwards.

Neither is needed to answer: what keeps a server from being known is warned of, and it runs all the same.
"""

import logging
import os
import time

from mlxk2.entrypoints.http.log_file import LogFile
from mlxk2.entrypoints.http.logs import LogFormat
from mlxk2.ports.errors import AccessProblem
from mlxk2.ports.servers import RunningServer, Servers

_LOG = logging.getLogger("mlxk2")


class KnownServer:
    """`cache` is the absolute path of the cache that it serves, `version` the program's, `key` its local key."""

    def __init__(self, servers: Servers, *, cache: str, version: str, key: str, log_format: LogFormat) -> None:
        self._servers = servers
        self._cache = cache
        self._version = version
        self._key = key
        self._form = log_format
        self._server: RunningServer | None = None
        self._log: LogFile | None = None

    def begin(self, url: str, port: int) -> None:
        """It listens; `url` reaches it from this machine. Raises nothing."""
        path = self._start_log(port)
        if self._log is not None:
            self._log.note(f"The server listens at {url} (process {os.getpid()}, version {self._version})")
        server = RunningServer(
            url=url,
            key=self._key,
            pid=os.getpid(),
            port=port,
            cache=self._cache,
            version=self._version,
            started=time.time(),
            log=path,
        )
        try:
            self._servers.announce(server)
        except AccessProblem as problem:
            _LOG.warning("run, ps and stop will not find this server: %s", problem.message)
        else:
            self._server = server

    def end(self) -> None:
        """It does not answer any more. Raises nothing."""
        if self._server is not None:
            self._servers.withdraw(self._server)
        if self._log is not None:
            self._log.close()

    def _start_log(self, port: int) -> str:
        """The file's path; empty where there is no place for one."""
        path = ""
        try:
            path = self._servers.log_file(port)
            self._log = LogFile(path, self._form)
        except AccessProblem as problem:
            _LOG.warning("The log goes to standard error alone: %s", problem.message)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            _LOG.warning("The log goes to standard error alone: %s cannot be written: %s", path, reason)
        return path
