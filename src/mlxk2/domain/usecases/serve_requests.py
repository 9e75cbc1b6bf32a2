"""The gate before an engine: every request to a loaded model goes through it, one of `run` as well as many of a server.

It knows the rules of `domain/admission.py` and does what they say: it refuses, lets wait, tells places, hands requests
to the engine and passes their events on. Three rules keep it safe between threads:

- No sink and no engine is ever called while the lock is held. What is to be said or started goes into the outbox, in
  order: places come before a request's start, and its start before its events.
- Whatever a sink does, also when it raises or asks for more from within, the other requests do not notice.
- Every request gets one last event, and leaves the admission when the engine is done with it, not sooner.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count

from mlxk2.domain.admission import Admission, Demand, Limits, TicketId, waited_too_long
from mlxk2.domain.outbox import Outbox
from mlxk2.ports.checking import check_request
from mlxk2.ports.engine import Engine, RequestId
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Event, Failed, Finished, FinishReason, GenerationRequest, Queued, Sink
from mlxk2.ports.system import Clock


@dataclass(slots=True, eq=False)
class _Visit:
    """One request between its arrival and its last event."""

    request: GenerationRequest
    sink: Sink
    since: float
    place: int = 0
    engine_id: RequestId | None = None
    unwanted: bool = False
    following: GenerationRequest | None = None
    deaf: bool = False

    def tell(self, event: Event) -> bool:
        """False when the sink has just raised; it is not called again."""
        if self.deaf:
            return True
        try:
            self.sink(event)
        except Exception:  # noqa: BLE001 - whatever it was, it ends this request and no other
            self.deaf = True
        return not self.deaf

    def cancelled(self, now: float) -> Finished:
        """The last event of a request that never reached the engine."""
        return Finished(FinishReason.CANCELLED, len(self.request.prompt), 0, 0.0, max(now - self.since, 0.0))


class RequestGate:
    """Calls come from any thread and never wait for an answer. `lock` is a mutual exclusion, held for moments only."""

    def __init__(
        self, engine: Engine, admission: Admission, clock: Clock, lock: AbstractContextManager[object]
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._clock = clock
        self._lock = lock
        self._info = engine.info()
        self._tickets = count(1)
        self._visits: dict[TicketId, _Visit] = {}
        self._outbox = Outbox(lock)

    @property
    def budget(self) -> int | None:
        """What all requests may take together in bytes for keys and values, None without a bound."""
        return self._admission.budget

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        with self._lock:
            return len(self._admission.waiting)

    def check(self, request: GenerationRequest) -> None:
        """Raises ValidationError, ContextExceeded or NotEnoughMemory for what is refused whatever else goes on."""
        self._admission.check(self._demand(request))

    def room(self, prompt_tokens: int, most: int) -> int:
        """How many of `most` tokens memory has room for beside such a prompt; 0 when it has none."""
        return self._admission.room(prompt_tokens, most)

    def submit(self, request: GenerationRequest, sink: Sink) -> TicketId:
        """Start a request, or let it wait. Never raises: what is wrong comes as `Failed`, as `Engine.start` does it.

        A request that must wait hears `Queued` first, and again whenever its place changes.
        """
        ticket, visit = next(self._tickets), _Visit(request, sink, self._clock.now())
        try:
            self._enter(ticket, visit, self._demand(request))
        except Mlxk2Error as error:
            visit.tell(Failed(error))
        self._outbox.deliver()
        return ticket

    def cancel(self, ticket: TicketId) -> None:
        """End a request early, wherever it is; its sink gets `Finished` with `CANCELLED`. Unknown ids are ignored."""
        with self._lock:
            visit = self._visits.get(ticket)
            if visit is None:
                return
            visit.unwanted = True
            engine_id = visit.engine_id
            if ticket in self._admission.waiting:
                self._dismiss(ticket, visit)
                self._tell_places()
        self._outbox.deliver()
        if engine_id is not None:
            self._engine.cancel(engine_id)

    def follow(self, ticket: TicketId, request: GenerationRequest) -> bool:
        """End a request that runs, and let another take its place with the same sink, once the last event of the one
        has been told. It must not need more room. False, and nothing happens, when no such request runs.
        """
        with self._lock:
            visit = self._visits.get(ticket)
            if visit is None or visit.unwanted or visit.engine_id is None:
                return False
            visit.following = request
            engine_id = visit.engine_id
        self._engine.cancel(engine_id)
        return True

    def pass_time(self) -> None:
        """Whoever has waited too long by now fails. To be called from time to time, for where nothing else happens."""
        with self._lock:
            self._pass_time(self._clock.now())
        self._outbox.deliver()

    def close(self) -> None:
        """Drop the model. Whoever waits, and whatever runs, finishes as cancelled; later requests fail."""
        with self._lock:
            for ticket in reversed(self._admission.waiting):  # from the end, so that nobody moves up and begins
                self._dismiss(ticket, self._visits[ticket])
        self._outbox.deliver()
        self._engine.close()

    def _demand(self, request: GenerationRequest) -> Demand:
        check_request(request, self._info)
        prompt, context = len(request.prompt), self._info.context_length
        return Demand(prompt, request.max_tokens if context is None else min(request.max_tokens, context - prompt))

    def _enter(self, ticket: TicketId, visit: _Visit, demand: Demand) -> None:
        """Raises what `Admission.arrive` raises; who has waited too long goes first, and makes room in the line."""
        with self._lock:
            self._pass_time(visit.since)
            begins = self._admission.arrive(ticket, demand, visit.since)
            self._visits[ticket] = visit
            self._begin((ticket,) if begins else ())
            self._tell_places()

    # The four below change the state and fill the outbox; they are called with the lock held.

    def _begin(self, tickets: tuple[TicketId, ...]) -> None:
        for ticket in tickets:
            self._outbox.add(partial(self._launch, ticket, self._visits[ticket]))

    def _dismiss(self, ticket: TicketId, visit: _Visit) -> None:
        """Out of the line, because nobody wants it any more."""
        del self._visits[ticket]
        self._outbox.add(partial(visit.tell, visit.cancelled(self._clock.now())))
        self._begin(self._admission.leave(ticket))

    def _end(self, ticket: TicketId, visit: _Visit, last: Finished | Failed) -> None:
        """The engine is done with a request: another takes its place, or everybody moves up."""
        following, visit.following = visit.following, None
        if following is not None and isinstance(last, Finished) and not visit.unwanted:
            visit.request, visit.engine_id = following, None
            self._begin((ticket,))
            return
        self._visits.pop(ticket, None)
        self._begin(self._admission.leave(ticket))
        self._tell_places()

    def _pass_time(self, now: float) -> None:
        moved = self._admission.pass_time(now)
        if not moved.late:
            return
        for ticket in moved.late:
            visit = self._visits.pop(ticket)
            self._outbox.add(partial(visit.tell, Failed(waited_too_long(now - visit.since))))
        self._begin(moved.begun)
        self._tell_places()

    def _tell_places(self) -> None:
        for place, ticket in enumerate(self._admission.waiting, 1):
            visit = self._visits[ticket]
            if visit.place != place:
                visit.place = place
                self._outbox.add(partial(self._tell, ticket, visit, Queued(place)))

    # The rest calls sinks and the engine, and so is called without the lock.

    def _tell(self, ticket: TicketId, visit: _Visit, event: Event) -> None:
        if not visit.tell(event):
            self.cancel(ticket)

    def _launch(self, ticket: TicketId, visit: _Visit) -> None:
        receive = partial(self._receive, ticket, visit)
        if visit.unwanted:
            receive(visit.cancelled(self._clock.now()))
            return
        engine_id = self._engine.start(visit.request, receive)
        with self._lock:
            visit.engine_id = engine_id
            unwanted = visit.unwanted
        if unwanted:
            self._engine.cancel(engine_id)

    def _receive(self, ticket: TicketId, visit: _Visit, event: Event) -> None:
        """An event of the engine, in its thread."""
        self._tell(ticket, visit, event)
        if not isinstance(event, (Finished, Failed)) and not self._admission.has_line:
            return  # what nearly all events are: nobody waits whose time could be over
        with self._lock:
            if isinstance(event, (Finished, Failed)):
                self._end(ticket, visit, event)
            self._pass_time(self._clock.now())
        self._outbox.deliver()


GateMaker = Callable[[Engine, int | None], RequestGate]
"""Puts a gate before an engine, with so many bytes for keys and values (None: no bound)."""


def gate_before(
    engine: Engine,
    budget: int | None,
    clock: Clock,
    lock: AbstractContextManager[object],
    *,
    queue: int = 256,
    patience: float = 300.0,
) -> RequestGate:
    """A gate with the numbers that the engine reports of itself; it shares `lock` with nobody.

    `queue` requests may wait before it, `patience` seconds each.
    """
    info = engine.info()
    return RequestGate(engine, Admission(info.kv, Limits(info.max_rows, budget, queue, patience)), clock, lock)
