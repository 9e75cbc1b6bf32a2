"""Threads for work that waits for a model's engine: to render a conversation, to count its tokens.

A worker that starts anew lets such work wait for seconds. Each model has a few threads and a line of its own, so that
one that stands still holds up no other; the line has an end, so that nothing piles up behind it.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mlxk2.ports.errors import Overloaded

_EACH = 4
"""Threads that one model may have: its engine does one such thing at a time, whoever asks."""
_MOST = 64
_LINE = 256

Work = Callable[[], object]


class ModelThreads:
    """`run` may be called from any thread. Work raises nothing: it tells its own end."""

    def __init__(self, line: int = _LINE) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._running: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, deque[Work]] = defaultdict(deque)
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix="model")

    def run(self, model: str, work: Work) -> None:
        """Raises Overloaded when too much waits for this model already."""
        with self._lock:
            if self._running[model] >= _EACH:
                if len(self._waiting[model]) >= self._line:
                    raise Overloaded(f"{self._line} requests already wait for this model; try again later")
                self._waiting[model].append(work)
                return
            self._running[model] += 1
        self._threads.submit(self._go_on, model, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _go_on(self, model: str, work: Work) -> None:
        """One piece of work after the other, as long as there is any."""
        following: Work | None = work
        while following is not None:
            following()
            following = self._next(model)

    def _next(self, model: str) -> Work | None:
        with self._lock:
            if self._waiting[model]:
                return self._waiting[model].popleft()
            self._running[model] -= 1
            if not self._running[model]:
                del self._running[model], self._waiting[model]
            return None
