"""The `Clock` and `Machine` ports with values that a test chooses."""


class MemoryClock:
    """Stands still at `now`, until it is told to advance."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class MemoryMachine:
    """A computer with this much memory, of which this process takes some, in bytes.

    `releases`: how often memory was given back.
    """

    def __init__(
        self,
        total: int | None = 16 * 10**9,
        available: int | None = 8 * 10**9,
        resident: int | None = 100 * 10**6,
    ) -> None:
        self._total = total
        self._available = available
        self._resident = resident
        self.releases = 0

    def total_memory(self) -> int | None:
        return self._total

    def available_memory(self) -> int | None:
        return self._available

    def resident_memory(self) -> int | None:
        return self._resident

    def reuse_memory(self) -> None:
        """All of it is."""

    def release_memory(self) -> None:
        self.releases += 1
