"""The contract of `Servers`, on record files and in memory."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryServers
from mlxk2.adapters.servers import RecordedServers
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts import ServersContract
from mlxk2.testing.contracts.servers import SERVER

ANNOUNCE = """
import os, signal, sys
from dataclasses import replace
from mlxk2.adapters.servers import RecordedServers
from mlxk2.testing.contracts.servers import SERVER
servers = RecordedServers(*sys.argv[1:])
servers.announce(SERVER)
assert len(servers.running()) == 2
print(os.getpid(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class TestRecordedServers(ServersContract):
    @pytest.fixture
    def folders(self, tmp_path: Path) -> tuple[str, str]:
        return str(tmp_path / "run"), str(tmp_path / "state")

    @pytest.fixture
    def servers(self, folders: tuple[str, str]) -> RecordedServers:
        return RecordedServers(*folders)

    @pytest.fixture
    def others(self, folders: tuple[str, str]) -> RecordedServers:
        return RecordedServers(*folders)

    @pytest.fixture
    def end(self, folders: tuple[str, str]) -> Callable[[], RunningServer]:
        def end() -> RunningServer:
            command = [sys.executable, "-c", ANNOUNCE, *folders]
            process = subprocess.run(command, capture_output=True, text=True, check=False)
            assert process.stdout, process.stderr
            return replace(SERVER, pid=int(process.stdout))

        return end


class TestMemoryServers(ServersContract):
    @pytest.fixture
    def servers(self, tmp_path: Path) -> MemoryServers:
        return MemoryServers(logs=str(tmp_path / "logs"))

    @pytest.fixture
    def end(self, servers: MemoryServers) -> Callable[[], RunningServer]:
        def end() -> RunningServer:
            ended = replace(SERVER, pid=SERVER.pid + 1)
            servers.announce(ended)
            servers.end(ended.pid)
            return ended

        return end
