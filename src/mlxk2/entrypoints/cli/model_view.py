"""A model summary as the record that scripts read and the words that people read; each loads what it needs."""

from typing import TYPE_CHECKING

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.names import short_name
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.parser import JSON_SPECS

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.records.models import HealthWord, ModelObject, StrictModelObject

SHORT_HASH = 7


def health_word(summary: ModelSummary) -> "HealthWord":
    return "healthy" if summary.health.healthy else "unhealthy"


def model_object(summary: ModelSummary) -> "ModelObject":
    from mlxk2.entrypoints.cli.records.models import ModelObject

    kind = summary.classification
    return ModelObject(
        name=summary.name,
        hash=summary.commit,
        size_bytes=summary.size,
        last_modified=human.utc(summary.modified),
        framework=kind.framework.value,
        model_type=kind.model_type.value,
        capabilities=[capability.value for capability in kind.capabilities],
        health=health_word(summary),
        runtime_compatible=summary.compatibility.compatible,
        reason=summary.reason,
        cached=True,
    )


def strict_object(summary: ModelSummary) -> "StrictModelObject":
    from mlxk2.entrypoints.cli.records.models import StrictModelObject

    full = model_object(summary)
    return StrictModelObject(
        name=full.name,
        hash=full.hash,
        size_bytes=full.size_bytes,
        last_modified=full.last_modified,
        framework=full.framework,
        model_type=full.model_type,
        capabilities=full.capabilities,
        health=full.health,
        cached=full.cached,
    )


def is_strict(json_spec: str) -> bool:
    return json_spec != JSON_SPECS[0]


def shown_name(summary: ModelSummary, *, full: bool) -> str:
    return summary.name if full else short_name(summary.name)


def shown_hash(summary: ModelSummary) -> str:
    return summary.commit[:SHORT_HASH] if summary.commit else "-"


def styled_health(summary: ModelSummary, out: Output) -> str:
    return out.styled(health_word(summary), "good" if summary.health.healthy else "bad")
