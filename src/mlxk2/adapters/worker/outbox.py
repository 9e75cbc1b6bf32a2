"""The worker's side of the socket that leads to the parent: events are gathered and go out as one frame for all tokens
that a step, or a part of it, has told.

There is no queue: whoever sends waits until the system has taken the bytes. A parent that does not read therefore holds
up the engine within its step, and memory does not grow.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.wire import Unsendable, frame
from mlxk2.ports.engine import EngineStats, RequestId
from mlxk2.ports.errors import EngineFailure
from mlxk2.ports.generation import Event, Failed, Finished

_MOST_GATHERED = 4096
"""Events; an engine that hands out so many without saying that its step is over is made to wait, too."""
_STALE = 0.25
"""Seconds after which a step's frame brings the numbers anew, for whoever watches how fast tokens come."""


class Outbox:
    """Every method may be called from any thread; whoever finds that nothing can be sent calls `parent_is_gone`.

    `stats` tells the engine's numbers, at any time and at once; `now` are the seconds of a clock that never goes back.
    """

    def __init__(
        self,
        sock: socket.socket,
        parent_is_gone: Callable[[], object],
        stats: Callable[[], EngineStats],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = sock
        self._parent_is_gone = parent_is_gone
        self._stats = stats
        self._now = now
        self._told = now()
        self._busy = 0
        self._has_ended = False
        self._sending = threading.Lock()
        self._events: deque[tuple[RequestId, Event]] = deque()
        self.steps = 0
        self.flushes = 0

    @property
    def is_empty(self) -> bool:
        """Whether all events have gone out."""
        return not self._events

    def add(self, request_id: RequestId, event: Event) -> None:
        """Keep an event for the frame of its step."""
        self._events.append((request_id, event))
        if len(self._events) >= _MOST_GATHERED:
            self.flush()

    def end_step(self, busy: int) -> None:
        """Send what the step, or a part of it, has brought; `busy` requests are still in the engine."""
        self.steps += 1
        self.flush(busy)

    def flush(self, busy: int | None = None) -> None:
        """Send what was gathered, if there is anything to be told."""
        with self._sending:
            self.flushes += 1
            gathered = []
            while self._events:
                gathered.append(self._events.popleft())
            if gathered or self._is_news(busy):
                self._write(_frames(gathered, busy, self._news(gathered, busy)))

    def _is_news(self, busy: int | None) -> bool:
        """Whether a step that brings no events is to be told all the same; most have told theirs before their end."""
        return busy is not None and (busy != self._busy or self._has_ended or self._are_stale(self._now()))

    def _are_stale(self, now: float) -> bool:
        return now - self._told >= _STALE

    def beat(self, busy: int) -> None:
        """Say that the worker lives, and has so many requests."""
        self.send(protocol.BEAT, 0, protocol.Beat(self.steps, busy, self._stats()))

    def send(self, kind: str, packet_id: int, body: object = None) -> None:
        """Send one packet at once. Raises Unsendable."""
        packet = frame(kind, packet_id, body)
        with self._sending:
            self._write(packet)

    def _news(self, events: list[tuple[RequestId, Event]], busy: int | None) -> EngineStats | None:
        """The numbers, if requests have come or gone, or the last ones are stale.

        An end is counted by the end of its step at the latest: what it frees may be, too, only by then.
        """
        ended = any(isinstance(event, (Finished, Failed)) for _, event in events)
        now = self._now()
        due = ended or self._has_ended or busy not in (None, self._busy) or self._are_stale(now)
        if busy is None:
            self._has_ended |= ended
        else:
            self._busy, self._has_ended = busy, ended
        if not due:
            return None
        self._told = now
        return self._stats()

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            self._parent_is_gone()


def _frames(events: list[tuple[RequestId, Event]], busy: int | None, stats: EngineStats | None) -> bytes:
    """One frame; if an event cannot be sent, one for each of them, with a failure in that one's place."""
    try:
        return frame(protocol.EVENTS, 0, protocol.write_events(events, busy, stats))
    except Unsendable:
        frames = [_frame_alone(request_id, event) for request_id, event in events]
        return b"".join([*frames, frame(protocol.EVENTS, 0, protocol.write_events((), busy, stats))])


def _frame_alone(request_id: RequestId, event: Event) -> bytes:
    try:
        return frame(protocol.EVENTS, 0, protocol.write_events([(request_id, event)], None, None))
    except Unsendable as error:
        failed = Failed(EngineFailure(f"A part of the answer could not be passed on: {error}; ask again"))
        return frame(protocol.EVENTS, 0, protocol.write_events([(request_id, failed)], None, None))
