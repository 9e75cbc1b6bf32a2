"""The cache contract, on disk and in memory."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.memory import MemoryCache, StoredModel
from mlxk2.testing import write_cache
from mlxk2.testing.contracts.cache import CacheContract, CacheOf


class TestCacheOnDisk(CacheContract):
    @pytest.fixture
    def cache_of(self, tmp_path: Path) -> CacheOf:
        def make(models: Iterable[StoredModel]) -> HfCache:
            return HfCache(str(write_cache(tmp_path / "hub", models)), str(tmp_path / "state"))

        return make


class TestCacheInMemory(CacheContract):
    @pytest.fixture
    def cache_of(self) -> CacheOf:
        return MemoryCache
