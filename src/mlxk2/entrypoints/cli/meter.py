"""Speed and time left of a transfer, from the last few seconds of it."""

from collections import deque

_WINDOW = 8.0
"""Seconds that the speed is taken over: long enough to be steady, short enough to follow a change."""


class Meter:
    """Fed with (seconds, bytes fetched so far); the clock is the caller's."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, fetched: int) -> None:
        self._seen.append((now, fetched))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:
            self._seen.popleft()

    @property
    def bytes_per_second(self) -> int | None:
        """None until there is something to tell."""
        if len(self._seen) < 2:
            return None
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return round((after - before) / (end - start)) if end > start else None

    def seconds_left(self, missing: int) -> int | None:
        speed = self.bytes_per_second
        return round(missing / speed) if speed else None
