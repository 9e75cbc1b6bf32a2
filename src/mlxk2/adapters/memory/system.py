"""The `Clock` and `Machine` ports with values that a test chooses."""


class MemoryClock:
    """Stands still at `now`."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


class MemoryMachine:
    """A computer with this much memory, in bytes."""

    def __init__(self, total: int | None = 16 * 10**9, available: int | None = 8 * 10**9) -> None:
        self._total = total
        self._available = available

    def total_memory(self) -> int | None:
        return self._total

    def available_memory(self) -> int | None:
        return self._available
