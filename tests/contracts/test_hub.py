"""The Hub contract, on huggingface_hub with a Hub on the loopback device and in memory."""

from collections.abc import Iterator, Mapping

import pytest
from huggingface_hub import constants

from mlxk2.adapters.hub import HuggingFaceHub, Retries
from mlxk2.adapters.memory import MemoryHub, MemoryRepo
from mlxk2.testing.contracts import HubContract
from mlxk2.testing.contracts.hub import HubOf
from tests.loopback_hub import LoopbackHub

TOKEN = "hf_ann"  # noqa: S105 - of a test
PATIENCE = Retries(attempts=2, sleep=lambda _: None)


class TestHuggingFaceHub(HubContract):
    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        with LoopbackHub() as server:
            server.add_token(TOKEN, user="ann", write=True)
            yield server

    @pytest.fixture
    def hub_of(self, server: LoopbackHub) -> HubOf:
        def make(repos: Mapping[str, MemoryRepo]) -> HuggingFaceHub:
            for name, repo in repos.items():
                add(server, name, repo)
            return HuggingFaceHub(server.endpoint, retries=PATIENCE)

        return make

    @pytest.fixture
    def offline(self, server: LoopbackHub) -> HuggingFaceHub:
        return HuggingFaceHub(server.endpoint, is_offline=True, retries=PATIENCE)


class TestMemoryHub(HubContract):
    @pytest.fixture
    def hub_of(self) -> HubOf:
        return MemoryHub

    @pytest.fixture
    def offline(self) -> MemoryHub:
        return MemoryHub(is_offline=True)


def add(server: LoopbackHub, name: str, repo: MemoryRepo) -> None:
    """Put a repo on the server; of its branches, those whose name begins with `v` become tags."""
    main = repo.branches["main"]
    server.add_model(name, main, private=repo.private, gated=repo.gated, downloads=repo.downloads, tags=repo.tags)
    for branch, files in repo.branches.items():
        if branch != "main":
            server.branch(name, "work")
            commit = server.change(name, {**dict.fromkeys(main), **files}, "work")
            (server.tag if branch.startswith("v") else server.branch)(name, branch, commit)
            del server.model(name).refs["refs/heads/work"]
