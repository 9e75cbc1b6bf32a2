"""The `RuntimeCatalogue` port over a set of names."""

from collections.abc import Sequence


class MemoryCatalogue:
    """Knows the given architectures; `version` None stands for an mlx-lm that is not installed."""

    def __init__(self, model_types: Sequence[str] = ("llama", "qwen3"), version: str | None = "0.32.2") -> None:
        self._model_types = frozenset(model_types)
        self._version = version

    def version(self) -> str | None:
        return self._version

    def supports(self, model_type: str, architectures: Sequence[str]) -> bool:  # noqa: ARG002 - the port's shape
        return model_type in self._model_types
