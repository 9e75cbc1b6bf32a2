"""The engine contract across a process border: the scripted engine in a child process, and MLX with the demo model."""

import sys
from pathlib import Path

import pytest

from mlxk2.adapters.worker.engine import WorkerLoader
from mlxk2.ports.engine import EngineLoader
from tests.contracts.test_engine import TestMemoryEngine as InMemory
from tests.contracts.test_engine import TestMlxEngine as WithMlx

SCRIPTED = Path(__file__).parents[1] / "worker_children" / "contract.py"


class TestWorkerEngine(InMemory):
    cancel_lag = 100_000  # the script makes thousands of tokens until the other process hears of a cancellation

    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> EngineLoader:
        return WorkerLoader([sys.executable, str(SCRIPTED)])


class TestWorkerWithMlx(WithMlx):
    cancel_lag = 100

    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> EngineLoader:
        return WorkerLoader()
