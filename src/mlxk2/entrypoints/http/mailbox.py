"""From an engine's thread into the event loop: events of one step cross together, and wake the loop once.

An engine hands out one event for each of its rows at every step. A wake-up for each of them would cost more than
writing the answer does.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox:
    """`post` may be called from any thread; what was posted runs in the loop, in order. Made in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._posted: list[Callable[[], None]] = []

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the loop's own thread, which needs no waking."""
        return threading.get_ident() == self._thread

    def post(self, act: Callable[[], None]) -> None:
        """After the loop has been closed nothing happens: nobody is there to be told."""
        with self._lock:
            self._posted.append(act)
            if len(self._posted) > 1:
                return  # the loop has been called, and has not come yet
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            return

    def _deliver(self) -> None:
        with self._lock:
            posted, self._posted = self._posted, []
        for act in posted:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - what was posted with it is of other requests
                self._loop.call_exception_handler({"message": "What was posted could not be done", "exception": error})


class Inbox(Generic[T]):
    """What one coroutine waits for: `put` from any thread, `drop` from within the loop; `close` when it waits no more.

    Something comes at every step, so its alarm is not set anew each time: one that rings too early is put off.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._items: list[T] = []
        self._waiting: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._due = 0.0

    def put(self, item: T) -> None:
        if self._mailbox.is_here:
            self.drop(item)
        else:
            self._mailbox.post(lambda: self.drop(item))

    def drop(self, item: T) -> None:
        self._items.append(item)
        self._wake()

    async def take(self, patience: float) -> list[T]:
        """Everything that has come; empty when nothing came for so many seconds."""
        if not self._items:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            self._due = loop.time() + patience
            if self._alarm is None or self._alarm.when() > self._due:
                self._set_alarm(loop)
            try:
                await self._waiting
            finally:
                self._waiting = None
        items, self._items = self._items, []
        return items

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._alarm = loop.call_at(self._due, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        if self._waiting is None:
            return
        if loop.time() < self._due:
            self._set_alarm(loop)
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
