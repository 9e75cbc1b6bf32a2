"""What is to be said or done once a lock is free again, in order.

Whoever changes a state under a lock puts here what follows from it, and delivers after letting go of the lock. One
thread at a time carries it out: nobody is called while the lock is held, and everybody hears things in the order in
which they happened.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager


class Outbox:
    """`lock` is the one that guards the state of whoever owns this."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock = lock
        self._acts: deque[Callable[[], object]] = deque()
        self._delivering = False

    def add(self, act: Callable[[], object]) -> None:
        """Call it with the lock held."""
        self._acts.append(act)

    def deliver(self) -> None:
        """Carry out what there is, unless another thread, or a caller further up in this one, is at it.

        Call it without the lock.
        """
        while True:
            with self._lock:
                if self._delivering or not self._acts:
                    return
                self._delivering = True
                act = self._acts.popleft()
            try:
                act()
            finally:
                with self._lock:
                    self._delivering = False
