"""`list`: every model in the cache, or those whose name contains a pattern."""

from mlxk2.domain.inspection import Inspector, ModelSummary


class ListModels:
    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def __call__(self, pattern: str | None = None) -> list[ModelSummary]:
        """All frameworks, sorted by name. A broken model is one of the rows, never an error."""
        return self._inspector.judge_all(pattern)
