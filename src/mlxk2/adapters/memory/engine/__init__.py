"""The `Engine` port without a model: answers follow a script, a token is a character, and all else is as promised."""

from mlxk2.adapters.memory.engine.answers import MEMORY_INFO, Script, StructuredScript
from mlxk2.adapters.memory.engine.batch import Manner
from mlxk2.adapters.memory.engine.engine import MemoryEngine, MemoryEngineLoader

__all__ = ["MEMORY_INFO", "Manner", "MemoryEngine", "MemoryEngineLoader", "Script", "StructuredScript"]
