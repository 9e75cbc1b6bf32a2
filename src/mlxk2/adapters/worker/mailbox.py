"""Work for the thread that owns a worker, from any other thread; a selector can wait for it."""

import os
from collections import deque
from collections.abc import Callable, Iterator
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

    def take(self) -> Iterator[Work]:
        """What is there now, in order and one by one: what is not reached stays."""
        for _ in range(len(self._work)):
            with self._lock:
                work = self._work.popleft()
                if not self._work:
                    os.read(self._bell, 1)
            yield work

    def close(self) -> list[Work]:
        """The owner's last look; what is posted later is done by whoever posts it."""
        with self._lock:
            self._closed = True
            os.close(self._bell)
            os.close(self._ringer)
            return list(self._work)
