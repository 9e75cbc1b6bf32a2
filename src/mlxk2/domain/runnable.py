"""Refusals of models that cannot be run, in words with the next step."""

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME
from mlxk2.ports.errors import OperationError


def unhealthy(summary: ModelSummary, reference: str) -> OperationError:
    """Its files are not in order; `reference` is how it was asked for."""
    revision = f"@{summary.commit[:12]}" if summary.commit and "@" in reference else ""
    name = DEMO_ALIAS if summary.name == DEMO_NAME else f"{summary.name}{revision}"
    return OperationError(
        f"'{summary.name}' is unhealthy: {summary.health.reason}; repair it with: mlxk2 pull {name} --repair"
    )


def incompatible(name: str, reason: str, step: str = "") -> OperationError:
    """mlx-lm cannot run it; `step` may say what to do about that."""
    return OperationError(f"'{name}' cannot run here: {reason}{step}")
