"""The hasher's contract, on disk and in memory."""

from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.checking import HfContentHasher
from mlxk2.adapters.memory import MemoryCache, MemoryHasher, StoredModel
from mlxk2.testing import write_cache
from mlxk2.testing.contracts.verifying import HasherContract, Shelf


class TestHasherOnDisk(HasherContract):
    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Shelf:
        root = tmp_path / "hub"

        def put(model: StoredModel) -> None:
            """Files are written in place, so that the disk keeps their identity."""
            write_cache(root, [model])

        memory = str(tmp_path / "memory")
        return Shelf(HfContentHasher(str(root), memory), put, lambda: HfCache(str(root), None, memory))


class TestHasherInMemory(HasherContract):
    @pytest.fixture
    def shelf(self) -> Shelf:
        cache = MemoryCache()

        def put(model: StoredModel) -> None:
            cache.put(model.folder, model)

        return Shelf(MemoryHasher(cache), put, lambda: cache)
