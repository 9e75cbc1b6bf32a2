"""How fast models make tokens: their counts of the last few seconds, and the slope between them. Pure."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlxk2.domain.usecases.serve_models import ModelStatus, PoolStatus

WINDOW = 5.0
"""Seconds. Counts are about a second apart, so that a much shorter look back would say anything."""
_STEP = 0.25
"""Seconds between two counts that are kept."""
_ENOUGH = 0.5
"""Seconds between two counts whose slope can be trusted, although each of them may be a little old."""


@dataclass(slots=True)
class Speed:
    """Of one model. Times are seconds of a clock that never goes back, `total` is of all tokens since it was loaded."""

    _counts: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, total: int) -> None:
        """Less than before means that the model was loaded anew."""
        counts = self._counts
        if counts and total < counts[-1][1]:
            counts.clear()
        if len(counts) > 1 and now - counts[-2][0] < _STEP:
            counts.pop()
        counts.append((now, total))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW:
            counts.popleft()

    @property
    def tokens_per_second(self) -> float:
        """Since tokens began to come, within the window; 0.0 until two counts have been noted."""
        if len(self._counts) < 2:
            return 0.0
        counts = list(self._counts)
        (begin, before), (end, after) = counts[_beginning(counts)], counts[-1]
        return (after - before) / max(end - begin, _STEP)


def _beginning(counts: Sequence[tuple[float, int]]) -> int:
    """Which count stands for the moment when tokens began to come.

    That moment lies between the last count of rest and the first with new tokens. The later one is nearer to the truth
    once enough time has gone by since, and more tokens have come.
    """
    risen = next((place for place, (_, total) in enumerate(counts) if total > counts[0][1]), len(counts))
    if risen == len(counts):
        return 0
    (then, some), (now, all_of_them) = counts[risen], counts[-1]
    return risen if now - then >= _ENOUGH and all_of_them > some else risen - 1


class Speeds:
    """Of all models in memory."""

    def __init__(self) -> None:
        self._speeds: dict[tuple[str, str], Speed] = {}

    def look(self, status: PoolStatus, now: float) -> None:
        """To be called about once a second. Models that have gone are forgotten."""
        speeds, self._speeds = self._speeds, {}
        for model in status.models:
            if model.stats is not None:
                speed = self._speeds[_key(model)] = speeds.get(_key(model)) or Speed()
                speed.note(now, model.stats.generated_tokens)

    def of(self, model: ModelStatus) -> float:
        """Tokens per second."""
        found = self._speeds.get(_key(model))
        return 0.0 if found is None else found.tokens_per_second


def _key(model: ModelStatus) -> tuple[str, str]:
    return model.offer.name, model.offer.commit
