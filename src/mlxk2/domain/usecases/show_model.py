"""`show`: everything known about one model without loading it."""

from dataclasses import dataclass

from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.domain.metadata import ModelMetadata, read_metadata
from mlxk2.domain.names import parse_reference
from mlxk2.domain.snapshot import JsonObject
from mlxk2.ports.cache import FileFact


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """`config` is the parsed config.json, None when it is missing or broken; `files` are sorted by path."""

    summary: ModelSummary
    metadata: ModelMetadata | None
    files: tuple[FileFact, ...]
    config: JsonObject | None


class ShowModel:
    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def __call__(self, reference: str) -> ModelDetails:
        """Raises ValidationError, ModelNotFound or AmbiguousMatch."""
        summary, subject = self._inspector.judge(self._inspector.locate(parse_reference(reference)))
        if subject is None:
            return ModelDetails(summary, None, (), None)
        snapshot = subject.snapshot
        files = tuple(snapshot.files.values())
        return ModelDetails(summary, read_metadata(snapshot.config), files, snapshot.config or None)
