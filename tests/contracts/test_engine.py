"""The engine contract, on MLX with the demo model and in memory."""

from collections.abc import Iterator
from importlib.resources import files

import pytest

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.adapters.mlx.engine import MlxEngine, MlxEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import LoadOptions
from mlxk2.testing.contracts import EngineContract


class TestMlxEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Iterator[MlxEngine]:
        engine = MlxEngineLoader(SystemMachine()).load(str(files("mlxk2") / "assets" / "demo"), LoadOptions())
        yield engine
        engine.close()

    @pytest.fixture
    def question(self) -> str:
        return "How do I list my models?"


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Iterator[MemoryEngine]:
        engine = MemoryEngine(lambda prompt: f"You asked: {prompt}")
        yield engine
        engine.close()

    @pytest.fixture
    def question(self) -> str:
        return "why?"
