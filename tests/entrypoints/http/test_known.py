"""A server is known while it runs, and its log is kept; where that cannot be it runs all the same."""

import io
import os
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryServers
from mlxk2.entrypoints.http.known import KnownServer
from mlxk2.entrypoints.http.logs import log_note
from mlxk2.ports.errors import AccessProblem
from mlxk2.ports.servers import RunningServer, Servers
from tests.entrypoints.http.doors.conftest import log

__all__ = ["log"]

URL = "http://127.0.0.1:8123"


class Unwritable(MemoryServers):
    def announce(self, server: RunningServer) -> None:
        raise AccessProblem(f"Process {server.pid} cannot be made known; make room")


def known(servers: Servers) -> KnownServer:
    return KnownServer(servers, cache="/cache", version="1.2.3", key="secret-key", log_format="text")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_it_is_known_from_its_beginning_to_its_end(log: io.StringIO, logs: Path) -> None:
    servers = MemoryServers(logs=str(logs))
    server = known(servers)
    assert servers.running() == ()
    server.begin(URL, 8123)
    (told,) = servers.running()
    assert (told.url, told.port, told.pid, told.key) == (URL, 8123, os.getpid(), "secret-key")
    assert (told.cache, told.version, told.log) == ("/cache", "1.2.3", str(logs / "server-8123.log"))
    assert told.started > 1_700_000_000
    log_note("a request")
    server.end()
    assert servers.running() == ()
    text = Path(told.log).read_text()
    assert f"The server listens at {URL} (process {os.getpid()}, version 1.2.3)" in text
    assert "a request" in text
    assert "secret-key" not in text + log.getvalue()


def test_one_that_cannot_be_made_known_says_so_and_runs(log: io.StringIO, logs: Path) -> None:
    server = known(Unwritable(logs=str(logs)))
    server.begin(URL, 8123)
    server.end()
    assert "warning run, ps and stop will not find this server: Process" in log.getvalue()
    assert "will not find this server" in (logs / "server-8123.log").read_text()


def test_without_a_place_for_logs_it_is_known_all_the_same(log: io.StringIO) -> None:
    servers = MemoryServers()
    server = known(servers)
    server.begin(URL, 8123)
    assert [told.log for told in servers.running()] == [""]
    server.end()
    assert "warning The log goes to standard error alone: There is no folder for logs" in log.getvalue()


def test_a_log_that_cannot_be_written_is_told_with_its_place(log: io.StringIO, logs: Path) -> None:
    (logs / "server-8123.log").mkdir(parents=True)
    servers = MemoryServers(logs=str(logs))
    server = known(servers)
    server.begin(URL, 8123)
    assert [told.log for told in servers.running()] == [str(logs / "server-8123.log")]
    server.end()
    assert f"standard error alone: {logs / 'server-8123.log'} cannot be written: is a directory" in log.getvalue()


def test_one_that_never_listened_has_nothing_to_end() -> None:
    servers = MemoryServers()
    known(servers).end()
    assert servers.running() == ()
