"""Pieces of one range on their way to the disk, a hundredth of a second's worth at once.

That saves most of the writing when they come fast, and a kill costs no more than what is in the air.
"""

import time
from threading import Lock

from mlxk2.adapters.hfcache.partial import Partial

_MOST = 1024 * 1024
_SECONDS = 0.01


class Gathered:
    """Filled by the thread that fetches the range; written by that one, or by another when it waits for its source."""

    def __init__(self, partial: Partial, start: int, stop: int) -> None:
        self._partial = partial
        self.position = start
        self._stop = stop
        self._pieces: list[bytes] = []
        self._size = 0
        self._due = time.monotonic()
        self._guard = Lock()

    def add(self, piece: bytes) -> None:
        """What goes beyond the range is left out."""
        with self._guard:
            wanted = piece[: self._stop - self.position - self._size]
            self._pieces.append(wanted)
            self._size += len(wanted)

    @property
    def is_full(self) -> bool:
        """Every byte of the range has come."""
        with self._guard:
            return self.position + self._size == self._stop

    @property
    def is_due(self) -> bool:
        return self._size >= _MOST or time.monotonic() >= self._due

    def write(self) -> int:
        """Returns the bytes written. Raises LetGo and OSError."""
        with self._guard:
            size = self._size
            if size:
                self._partial.write(self.position, b"".join(self._pieces))
                self.position += size
                self._pieces, self._size = [], 0
            self._due = time.monotonic() + _SECONDS
            return size
