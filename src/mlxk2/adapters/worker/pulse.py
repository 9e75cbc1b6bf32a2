"""The worker's pulse: a beat every second, and the events that no step's end sends on their way."""

import threading
import time
from collections.abc import Callable

from mlxk2.adapters.worker.outbox import Outbox

_LINGER = 0.05
"""Seconds that an event may lie in the outbox before it is sent without waiting for the end of a step.

Whoever is woken for it takes a core from BLAS: the news that a prompt is begun goes along with its first token.
"""


class Pulse:
    """`busy` tells how many requests the worker has."""

    def __init__(self, outbox: Outbox, busy: Callable[[], int], beat_seconds: float) -> None:
        self._outbox = outbox
        self._busy = busy
        self._beat_seconds = beat_seconds
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="worker-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing more will be sent."""
        self._over = True
        self._wake.set()
        self._thread.join()

    def hurry(self) -> None:
        """There is a request: look after its events from now on."""
        self._wake.set()

    def _run(self) -> None:
        next_beat = time.monotonic()
        flushes = was_busy = 0
        while not self._over:
            if not self._outbox.is_empty and self._outbox.flushes == flushes:
                self._outbox.flush()
            flushes = self._outbox.flushes
            busy = self._busy()
            has_emptied = was_busy > busy == 0  # worth a beat: no step need follow in which the numbers change
            if (now := time.monotonic()) >= next_beat or has_emptied:
                self._outbox.beat(busy)
                next_beat = now + self._beat_seconds
            was_busy = busy
            self._wait(busy, next_beat - now)

    def _wait(self, busy: int, seconds: float) -> None:
        if busy or not self._outbox.is_empty:
            time.sleep(_LINGER)
        else:
            self._wake.wait(seconds)
            self._wake.clear()
