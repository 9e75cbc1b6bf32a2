"""Verdicts on described models, for tests of the rules."""

from mlxk2.adapters.memory import MemoryCache, MemoryCatalogue, StoredModel
from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.domain.names import name_of


def judged(model: StoredModel, catalogue: MemoryCatalogue | None = None) -> ModelSummary:
    """The summary that `list` would make of the model."""
    inspector = Inspector(MemoryCache([model]), catalogue or MemoryCatalogue(("llama", "qwen3")))
    return inspector.judge(inspector.open(name_of(model.folder), model.folder))[0]


def reason(model: StoredModel) -> str | None:
    return judged(model).health.reason
