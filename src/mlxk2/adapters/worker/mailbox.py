"""Work for the thread that owns a worker, from any other thread; a selector can wait for it."""

import os
from collections import deque
from collections.abc import Callable
from threading import Lock

Work = Callable[[], None]


class Mailbox:
    def __init__(self) -> None:
        self._work: deque[Work] = deque()
        self._lock = Lock()
        self._closed = False
        self._bell, self._ringer = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ringer, False)

    def fileno(self) -> int:
        """Readable while there is work."""
        return self._bell

    def post(self, work: Work) -> None:
        """Have it done by the owner, or here and now when the owner is gone; never waits for the owner."""
        with self._lock:
            taken = not self._closed
            if taken:
                self._work.append(work)
                if len(self._work) == 1:
                    os.write(self._ringer, b"!")
        if not taken:
            work()

    def take(self) -> list[Work]:
        """Everything that was posted, in order."""
        with self._lock:
            return self._empty()

    def close(self) -> list[Work]:
        """The owner's last look; what is posted later is done by whoever posts it."""
        with self._lock:
            self._closed = True
            rest = self._empty()
            os.close(self._bell)
            os.close(self._ringer)
            return rest

    def _empty(self) -> list[Work]:
        work = list(self._work)
        if work:
            os.read(self._bell, 1)
            self._work.clear()
        return work
