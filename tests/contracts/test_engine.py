"""The engine contract, on MLX with the demo model and in memory."""

from importlib.resources import files

import pytest

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import EngineLoader
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import GenerationRequest, Structure
from mlxk2.testing.contracts import EngineContract
from mlxk2.testing.contracts.engine import GRAMMAR, PATTERN, SCHEMA, SNOWMEN


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


HELD = {
    SCHEMA: '{"command": "list", "count": 3}',
    PATTERN: "2026-11",
    GRAMMAR: "the answer is yes",
    SNOWMEN: "☃☃☃",
}


def answer(prompt: str) -> str:
    return "on and on, " * 20_000 if "forever" in prompt else f"You asked: {prompt}"[:150]


def held(structure: Structure, prompt: str) -> str:
    del prompt
    if structure not in HELD:
        raise ValidationError("This structure cannot be understood: correct it and ask again")
    return HELD[structure]


class TestMemoryEngine(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls) -> EngineLoader:
        return MemoryEngineLoader(lambda _: MemoryEngine(answer, structured=held))

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
        return GenerationRequest(tuple(map(ord, "forever")), 10**6)
