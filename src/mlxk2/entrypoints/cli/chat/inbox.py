"""The events of an answer, and Ctrl-C among them: a signal never comes in the middle of what is written."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

from mlxk2.ports.generation import Event, Failed, Finished, Sink

_WAIT = 0.2


class Inbox:
    """Used as a context manager: within it the first Ctrl-C calls `stop`, the second is a KeyboardInterrupt.

    `stop` is called from `events`, never from the signal's handler.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._before: object = None
        self.stopped = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if callable(self._before) or isinstance(self._before, signal.Handlers):
            signal.signal(signal.SIGINT, self._before)

    def events(self, start: Callable[[Sink], object]) -> Iterator[list[Event]]:
        """Start, and yield what has come until the last event: as much at once as is there."""
        start(self._waiting.put)
        while True:
            found = self._arrived()
            if None in found:
                self._on_stop(found.count(None))
            events = [event for event in found if event is not None]
            if events:
                yield events
            if events and isinstance(events[-1], Finished | Failed):
                return

    def _arrived(self) -> list[Event | None]:
        found: list[Event | None] = []
        try:
            found.append(self._waiting.get(timeout=_WAIT))
            while True:
                found.append(self._waiting.get_nowait())
        except queue.Empty:
            return found

    def _on_stop(self, times: int) -> None:
        was_stopped, self.stopped = self.stopped, True
        if not was_stopped:
            self._stop()
        if was_stopped or times > 1:
            raise KeyboardInterrupt

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._waiting.put(None)
