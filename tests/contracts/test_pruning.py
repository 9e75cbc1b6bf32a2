"""The sweeper contract, on disk and in memory."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.sweeper import HfSweeper
from mlxk2.adapters.memory import MemoryCache, MemorySweeper, StoredModel
from mlxk2.testing import hold_lock, write_cache
from mlxk2.testing.contracts import SweeperContract
from mlxk2.testing.contracts.pruning import SweeperOf


class TestSweeperOnDisk(SweeperContract):
    @pytest.fixture
    def sweeper_of(self, tmp_path: Path) -> Iterator[SweeperOf]:
        with ExitStack() as stack:
            made = iter(range(100))

            def make(models: Iterable[StoredModel]) -> tuple[HfCache, HfSweeper]:
                described = list(models)
                root = write_cache(tmp_path / f"hub{next(made)}", described)
                for model in described:
                    for guard in model.held_locks:
                        stack.enter_context(hold_lock(root, model, guard))
                return HfCache(str(root)), HfSweeper(str(root))

            yield make


class TestSweeperInMemory(SweeperContract):
    @pytest.fixture
    def sweeper_of(self) -> SweeperOf:
        def make(models: Iterable[StoredModel]) -> tuple[MemoryCache, MemorySweeper]:
            cache = MemoryCache(models)
            return cache, MemorySweeper(cache)

        return make
