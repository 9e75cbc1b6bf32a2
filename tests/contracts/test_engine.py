"""The engine contract, on MLX with the demo model and in memory."""

from importlib.resources import files

import pytest

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import EngineLoader
from mlxk2.ports.generation import GenerationRequest
from mlxk2.testing.contracts import EngineContract
from mlxk2.testing.contracts.engine import scripts


class TestMlxEngine(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> EngineLoader:
        from mlxk2.adapters.mlx.engine import MlxEngineLoader

        return MlxEngineLoader(SystemMachine())

    @pytest.fixture(scope="class")
    @classmethod
    def location(cls) -> str:
        return str(files("mlxk2") / "assets" / "demo")

    @pytest.fixture(scope="class")
    @classmethod
    def question(cls) -> str:
        return "How do I list my models?"

    @pytest.fixture(scope="class")
    @classmethod
    def end_tokens(cls) -> tuple[int, ...]:
        return (0, 2)


class TestMemoryEngine(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> EngineLoader:
        return MemoryEngineLoader(lambda _: MemoryEngine(scripts.free, structured=scripts.held))

    @pytest.fixture(scope="class")
    @classmethod
    def location(cls) -> str:
        return "a script"

    @pytest.fixture(scope="class")
    @classmethod
    def question(cls) -> str:
        return "why is the sky blue?"

    @pytest.fixture(scope="class")
    @classmethod
    def endless(cls) -> GenerationRequest:
        return scripts.ENDLESS
