"""`search`: models on the Hub, those of mlx-community first."""

from typing import NamedTuple

from mlxk2.domain.budget import fits
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.names import DEFAULT_ORG
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.hub import FoundModel, Hub, Notice
from mlxk2.ports.system import Machine

_MLX_TAG = "mlx"
_MOST = 500


class Hit(NamedTuple):
    """A model on the Hub; `fits` is whether its weights fit into memory, `cached` whether it is in the cache."""

    model: FoundModel
    fits: bool | None
    cached: bool


class SearchModels:
    def __init__(self, hub: Hub, inspector: Inspector, machine: Machine) -> None:
        self._hub = hub
        self._inspector = inspector
        self._machine = machine

    def __call__(self, words: list[str], *, limit: int, all_libraries: bool, notice: Notice) -> list[Hit]:
        """Most downloaded first within each part. Raises ValidationError and what the Hub raises."""
        text = " ".join(words).strip()
        if not text:
            raise ValidationError("Nothing to look for: write a word of the model's name, such as: mlxk2 search qwen")
        if not 1 <= limit <= _MOST:
            raise ValidationError(f"--limit {limit} is out of range: it must be from 1 to {_MOST}")
        found = list(self._hub.search(text, author=DEFAULT_ORG, tag=None, limit=limit, notice=notice))
        if len(found) < limit:
            names = {model.name for model in found}
            tag = None if all_libraries else _MLX_TAG
            others = self._hub.search(text, author=None, tag=tag, limit=limit, notice=notice)
            found += [model for model in others if model.name not in names]
        memory = self._machine.total_memory()
        cached = self._inspector.names().keys()
        return [Hit(model, fits(model.size, memory), model.name in cached) for model in found[:limit]]
