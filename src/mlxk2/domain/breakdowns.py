"""Which models could not be loaded a moment ago: to try at once again would push out good models in vain.

Where the engine broke over it, through no fault of the model, one more try is allowed before.
"""

from mlxk2.domain.seating import ModelKey
from mlxk2.ports.errors import EngineFailure, Mlxk2Error

REST_SECONDS = 10.0
"""For so long nobody tries again."""


class Breakdowns:
    """Times are seconds of any clock."""

    def __init__(self) -> None:
        self._resting: dict[ModelKey, tuple[float, Mlxk2Error]] = {}
        self._tried: set[ModelKey] = set()

    def failed(self, key: ModelKey, error: Mlxk2Error, now: float) -> None:
        if isinstance(error, EngineFailure) and key not in self._tried:
            self._tried.add(key)
        else:
            self._tried.discard(key)
            self._resting[key] = (now + REST_SECONDS, error)

    def loaded(self, key: ModelKey) -> None:
        self._tried.discard(key)

    def lately(self, key: ModelKey, now: float) -> Mlxk2Error | None:
        """Why the model is not to be tried now; None when it may be."""
        self._resting = {known: broken for known, broken in self._resting.items() if now < broken[0]}
        return self._resting[key][1] if key in self._resting else None
