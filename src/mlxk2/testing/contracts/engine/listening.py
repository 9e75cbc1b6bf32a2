"""Following requests from a test's own thread: everything is waited for, nothing is slept for."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from mlxk2.ports.engine import Engine, RequestId
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    PromptProgress,
    Sink,
    TokenLogprobs,
)

WAIT_SECONDS = 60.0


def collect(start: Callable[[Sink], object]) -> list[Event]:
    """Every event of one request, up to and including the last."""
    return list(_events(start))


def _events(start: Callable[[Sink], object]) -> Iterator[Event]:
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    start(waiting.put)
    while True:
        event = waiting.get(timeout=WAIT_SECONDS)
        yield event
        if isinstance(event, (Finished, Failed)):
            return


def text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


class Listener:
    """One started request and what its sink has heard so far."""

    def __init__(self, engine: Engine, request: GenerationRequest) -> None:
        self.events: list[Event] = []
        self._kinds: set[type[Event]] = set()
        self._heard = threading.Condition()
        self.started = threading.Event()
        self.request_id: RequestId = engine.start(request, self.hear)
        self.started.set()

    def hear(self, event: Event) -> None:
        with self._heard:
            self.events.append(event)
            self._kinds.add(type(event))
            self._heard.notify_all()

    def wait_for(self, kind: type[Event]) -> None:
        """Return once an event of this kind has come, or the last one."""
        self._wait(lambda: kind in self._kinds or self.has_ended)

    def end(self) -> Finished | Failed:
        """The last event, when it has come."""
        self._wait(lambda: self.has_ended)
        return next(event for event in self.events if isinstance(event, (Finished, Failed)))

    def finished(self) -> Finished:
        end = self.end()
        assert isinstance(end, Finished), end
        return end

    def failure(self) -> Mlxk2Error:
        end = self.end()
        assert isinstance(end, Failed), end
        return end.error

    @property
    def has_ended(self) -> bool:
        return Finished in self._kinds or Failed in self._kinds

    @property
    def deltas(self) -> list[Delta]:
        return [event for event in self.events if isinstance(event, Delta)]

    @property
    def progress(self) -> list[PromptProgress]:
        return [event for event in self.events if isinstance(event, PromptProgress)]

    @property
    def text(self) -> str:
        return text_of(self.events)

    @property
    def tokens(self) -> list[int]:
        return [token for delta in self.deltas for token in delta.tokens]

    @property
    def logprobs(self) -> list[TokenLogprobs]:
        return [entry for delta in self.deltas for entry in delta.logprobs]

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._heard:
            came = self._heard.wait_for(until, WAIT_SECONDS)
            assert came, f"nothing more within {WAIT_SECONDS:g} s: {self.events[-3:]}"


def answered(engine: Engine, request: GenerationRequest) -> Listener:
    """One request, followed to its end; it must not fail."""
    listener = Listener(engine, request)
    listener.finished()
    return listener


def all_answered(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Listener]:
    """All started at once, all followed to their ends; none may fail."""
    listeners = [Listener(engine, request) for request in requests]
    for listener in listeners:
        listener.finished()
    return listeners


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it becomes true: for numbers that may reach the caller a little after the events they count."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.01) for _ in range(int(WAIT_SECONDS * 100)))
