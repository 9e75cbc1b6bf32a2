"""The contracts of what `doctor` looks at, on this machine, on a Hub on loopback, and in memory."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from huggingface_hub import close_session

from mlxk2.adapters.hub.access import HuggingFaceAccess
from mlxk2.adapters.system.setup import SystemSetup
from mlxk2.testing import MemoryHubAccess, MemorySetup
from mlxk2.testing.contracts import HubAccessContract, SetupContract
from tests.e2e.pulling import TOKEN
from tests.loopback_hub import LoopbackHub


@pytest.mark.skipif(find_spec("mlx") is None, reason="mlx is not installed")
class TestSystemSetup(SetupContract):
    @pytest.fixture
    def setup(self) -> SystemSetup:
        return SystemSetup()


class TestMemorySetup(SetupContract):
    @pytest.fixture
    def setup(self) -> MemorySetup:
        return MemorySetup()


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        server.add_token(TOKEN, user="somebody")
        yield server
    close_session()


class TestHuggingFaceAccess(HubAccessContract):
    @pytest.fixture
    def access(self, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HuggingFaceAccess:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
        return HuggingFaceAccess(server.endpoint)

    @pytest.fixture
    def trusted(self, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> HuggingFaceAccess:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        return HuggingFaceAccess(server.endpoint)

    @pytest.fixture
    def distrusted(self, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> HuggingFaceAccess:
        monkeypatch.setenv("HF_TOKEN", f"{TOKEN}x")
        return HuggingFaceAccess(server.endpoint)

    @pytest.fixture
    def offline(self, server: LoopbackHub) -> HuggingFaceAccess:
        return HuggingFaceAccess(server.endpoint, is_offline=True)


class TestMemoryHubAccess(HubAccessContract):
    @pytest.fixture
    def access(self) -> MemoryHubAccess:
        return MemoryHubAccess()

    @pytest.fixture
    def trusted(self) -> MemoryHubAccess:
        return MemoryHubAccess(has_token=True)

    @pytest.fixture
    def distrusted(self) -> MemoryHubAccess:
        return MemoryHubAccess(has_token=True, knows_token=False)

    @pytest.fixture
    def offline(self) -> MemoryHubAccess:
        return MemoryHubAccess(is_offline=True)
