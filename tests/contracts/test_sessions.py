"""The contract of `SessionStore`, on JSON files and in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemorySessions
from mlxk2.adapters.sessions import FileSessions
from mlxk2.testing.contracts import SessionsContract


class TestFileSessions(SessionsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileSessions:
        return FileSessions(str(tmp_path / "state"))

    @pytest.fixture
    def others(self, tmp_path: Path) -> FileSessions:
        return FileSessions(str(tmp_path / "state"))

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Callable[[str], None]:
        def damage(title: str) -> None:
            path = tmp_path / "state" / "mlxk2" / "chats" / f"{title}.json"
            path.write_bytes(path.read_bytes()[:-20])

        return damage


class TestMemorySessions(SessionsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> MemorySessions:
        return MemorySessions(folder=str(tmp_path / "state"))

    @pytest.fixture
    def damage(self, store: MemorySessions) -> Callable[[str], None]:
        return store.damage
