"""Threads that compile structures beside the engine's: more than one, so that a heavy schema holds up no light one.

They are daemons: a process that ends does not wait for a schema.
"""

import queue
import threading
from collections.abc import Callable

_THREADS = 2

Job = Callable[[], None]


class Compilers:
    """Started with the first job. `submit` comes from one thread; jobs do not raise."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._started = False

    def submit(self, job: Job) -> None:
        if not self._started:
            self._started = True
            for number in range(_THREADS):
                threading.Thread(target=self._work, name=f"mlx-engine-structures-{number}", daemon=True).start()
        self._jobs.put(job)

    def close(self) -> None:
        """The threads end after what they are at."""
        for _ in range(_THREADS if self._started else 0):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
