"""`health`: the verdict on every model in the cache, or on those whose name contains a pattern."""

from dataclasses import dataclass

from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.domain.names import parse_reference
from mlxk2.ports.errors import ModelNotFound


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Models sorted by name, split by verdict."""

    healthy: tuple[ModelSummary, ...]
    unhealthy: tuple[ModelSummary, ...]

    @property
    def total(self) -> int:
        return len(self.healthy) + len(self.unhealthy)


class CheckHealth:
    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def __call__(self, pattern: str | None = None) -> HealthReport:
        """A pattern with `@hash` judges that revision; one that matches nothing gives an empty report."""
        summaries = self._one_revision(pattern) if pattern and "@" in pattern else self._inspector.judge_all(pattern)
        return HealthReport(
            tuple(summary for summary in summaries if summary.health.healthy),
            tuple(summary for summary in summaries if not summary.health.healthy),
        )

    def _one_revision(self, pattern: str) -> list[ModelSummary]:
        try:
            return [self._inspector.judge(self._inspector.locate(parse_reference(pattern)))[0]]
        except ModelNotFound:
            return []
