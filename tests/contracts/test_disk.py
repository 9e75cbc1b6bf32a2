"""The contract of the disk, on disk and in memory."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache.disk import HfCacheDisk
from mlxk2.adapters.memory import MemoryCache, MemoryDisk, StoredModel
from mlxk2.testing import write_cache
from mlxk2.testing.contracts import DiskContract
from mlxk2.testing.contracts.disk import DiskOf


class TestDiskOfACache(DiskContract):
    @pytest.fixture
    def disk_of(self, tmp_path: Path) -> DiskOf:
        def make(models: Iterable[StoredModel]) -> HfCacheDisk:
            return HfCacheDisk(str(write_cache(tmp_path / "hub", models)))

        return make


class TestDiskInMemory(DiskContract):
    @pytest.fixture
    def disk_of(self) -> DiskOf:
        return lambda models: MemoryDisk(MemoryCache(models))
