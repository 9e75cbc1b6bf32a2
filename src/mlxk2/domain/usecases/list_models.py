"""`list`: every model in the cache, or those whose name contains a pattern and that are of the kind that is wanted."""

from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.domain.model_list import Choice, ModelList, choose
from mlxk2.ports.cache import ModelCache


class ListModels:
    def __init__(self, cache: ModelCache, inspector: Inspector) -> None:
        self._cache = cache
        self._inspector = inspector

    def place(self) -> str:
        """Where the models are looked for."""
        return self._cache.place()

    def __call__(self, pattern: str | None = None) -> list[ModelSummary]:
        """All frameworks, sorted by name. A broken model is one of the rows, never an error."""
        return self._inspector.judge_all(pattern)

    def choose(self, pattern: str | None, choice: Choice) -> ModelList:
        """Those of them that are wanted, in the order that is wanted. Raises ValidationError for a bad limit."""
        return choose(self(pattern), choice)
