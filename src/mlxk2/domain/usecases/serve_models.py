"""The models of a server: found, loaded when they are first wanted, shared by everybody who wants the same snapshot.

It knows the rules of `domain/pool.py` and does what they say. The state is changed under one lock; callers are told,
and work is begun, without it and in order. What may take its time (judging a snapshot, loading, ending a worker) runs
in the background, so that `want` returns at once and requests for other models keep flowing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol

from mlxk2.domain.budget import appetite, plan_memory
from mlxk2.domain.outbox import Outbox
from mlxk2.domain.pool import (
    Action,
    Close,
    Grant,
    Load,
    ModelKey,
    Need,
    Pool,
    PoolLimits,
    Seat,
    WantId,
)
from mlxk2.domain.usecases.serve_models_finding import Found, ModelFinder
from mlxk2.domain.usecases.serve_models_records import (
    Lease,
    LoadProgress,
    ModelStatus,
    Offer,
    PoolStatus,
    Refused,
    ServeLimits,
    State,
    Tell,
    Told,
)
from mlxk2.domain.usecases.serve_requests import GateMaker, RequestGate
from mlxk2.ports.engine import Engine, EngineLoader, Loading, LoadOptions, Stepped
from mlxk2.ports.errors import EngineFailure, InternalError, Mlxk2Error
from mlxk2.ports.system import Clock, Machine

__all__ = [
    "Lease",
    "LoadProgress",
    "ModelStatus",
    "Offer",
    "PoolStatus",
    "Refused",
    "ServeLimits",
    "ServeModels",
    "Told",
    "WantId",
]

_REMEMBERED = 2.0
"""Seconds for which a reference means what it meant."""
_MOST_REMEMBERED = 1024
_WAITING = "waiting until other models make room"
_STARTING = "starting the model's process"


class Monitor(AbstractContextManager[object], Protocol):
    """Mutual exclusion for moments, that may be entered again from within, and a wait for what others change."""

    def wait_for(self, predicate: Callable[[], bool]) -> bool: ...

    def notify_all(self) -> None: ...


Spawn = Callable[[Callable[[], object]], None]
"""Lets a piece of work run in the background, however long it takes."""


@dataclass(slots=True, eq=False)
class _Wish:
    """A want that has not ended; `loaded` is told where the model is only to be loaded."""

    tell: Tell
    loaded: Callable[[], None] | None = None
    key: ModelKey | None = None


@dataclass(slots=True, eq=False)
class _Room:
    """A model with a place in the pool, or one that waits for it."""

    found: Found
    stage: str = _WAITING
    engine: Engine | None = None
    gate: RequestGate | None = None
    abort: Callable[[], None] | None = None
    is_unwanted: bool = False
    is_closing: bool = False


class ServeModels:
    """Calls come from any thread. Making it raises what is wrong with the pinned and allowed references."""

    def __init__(
        self,
        finder: ModelFinder,
        loader: EngineLoader,
        gates: GateMaker,
        limits: ServeLimits,
        machine: Machine,
        clock: Clock,
        monitor: Monitor,
        spawn: Spawn,
    ) -> None:
        self._finder = finder
        self._loader = loader
        self._gates = gates
        self._clock = clock
        self._lock = monitor
        self._spawn = spawn
        self._memory = limits.memory if limits.memory is not None else plan_memory(machine).grant
        self._pool = Pool(
            PoolLimits(self._memory, limits.most_models, limits.keep_alive, limits.queue, limits.patience)
        )
        self._outbox = Outbox(monitor)
        self._wants = count(1)
        self._wishes: dict[WantId, _Wish] = {}
        self._rooms: dict[ModelKey, _Room] = {}
        self._remembered: dict[str, tuple[float, Found | Mlxk2Error]] = {}
        self._asked: dict[str, list[WantId]] = {}
        self._is_judging = False
        finder.check()

    def offers(self) -> list[Offer]:
        """Every model that can be asked for, sorted by name. Reads the cache."""
        return [self._offer(found) for found in self._finder.find_all(self._known)]

    def find(self, reference: str) -> Offer:
        """Raises ValidationError, ModelNotFound, AmbiguousMatch, or OperationError for a model that cannot be run."""
        with self._lock:
            result = self._recall(reference)
        if result is None:
            result = self._judged(reference)
            with self._lock:
                self._remember(reference, result)
        if isinstance(result, Mlxk2Error):
            raise result
        return self._offer(result)

    def want(self, reference: str, tell: Tell) -> WantId:
        """Ask for a model; it is loaded if need be. Never raises: what is wrong comes as `Refused`."""
        return self._wish(reference, _Wish(tell))

    def load(self, reference: str, tell: Callable[[Mlxk2Error | None], None]) -> None:
        """Load a model ahead of any request; `tell` hears None once it is loaded, or why it cannot be."""

        def listen(news: Told) -> None:
            if isinstance(news, Refused):
                tell(news.error)

        self._wish(reference, _Wish(listen, partial(tell, None)))

    def give_up(self, want: WantId) -> None:
        """Nobody waits for it any more; what it has got is let go. An id that is unknown or over changes nothing."""
        with self._lock:
            wish = self._wishes.pop(want, None)
            if wish is not None:
                self._apply(self._pool.release(want, self._clock.now()))
                self._tidy()
        self._outbox.deliver()

    def unload(self, reference: str, *, force: bool = False) -> None:
        """Unload a model, in all revisions unless one is named; nothing happens when it is not loaded.

        Raises ValidationError, ModelNotFound, AmbiguousMatch; Conflict when it is busy, unless with `force`, which ends
        its requests.
        """
        with self._lock:
            loaded = {room.found.name for key, room in self._rooms.items() if self._pool.seat(key) is not None}
        name, revision = self._finder.name(reference, loaded)
        with self._lock:
            for key, room in list(self._rooms.items()):
                if room.found.name == name and key.commit.startswith(revision):
                    self._apply(self._pool.unload(key, self._clock.now(), force=force))
        self._outbox.deliver()

    def status(self) -> PoolStatus:
        """What is in memory now. Never waits for an engine."""
        with self._lock:
            now = self._clock.now()
            waiting = [key for _, key in self._pool.waiting]
            rows = [(seat, self._rooms[seat.key], self._figures(seat, now)) for seat in self._pool.seats]
            taken = self._pool.taken
            homeless = sum(self._pool.seat(key) is None for key in waiting)
        models = []
        for seat, room, (state, busy, idle, expires, granted) in rows:
            stats = room.engine.stats() if room.engine is not None else None
            models.append(
                ModelStatus(
                    room.found.offer(state),
                    room.stage if state == "loading" else state,
                    busy,
                    waiting.count(seat.key) + (room.gate.waiting if room.gate is not None else 0),
                    granted,
                    idle,
                    expires,
                    room.found.pinned,
                    stats,
                    stats.restarts if stats is not None else 0,
                )
            )
        return PoolStatus(tuple(models), self._memory, taken, homeless)

    def pass_time(self) -> None:
        """To be called about once a second: idle models go, and whoever has waited too long is refused."""
        with self._lock:
            self._apply(self._pool.pass_time(self._clock.now()))
            self._tidy()
            gates = [room.gate for room in self._rooms.values() if room.gate is not None]
        self._outbox.deliver()
        for gate in gates:
            gate.pass_time()

    def close(self) -> None:
        """End all workers, those too that are still loading; whoever waits is refused. Returns when all are gone."""
        with self._lock:
            self._apply(self._pool.close())
        self._outbox.deliver()
        with self._lock:
            self._lock.wait_for(lambda: not self._pool.seats and not self._is_judging)

    # Looking up what a reference means.

    def _wish(self, reference: str, wish: _Wish) -> WantId:
        with self._lock:
            want = next(self._wants)
            self._wishes[want] = wish
            result = self._recall(reference)
            if result is not None:
                self._enter(want, result)
            else:
                self._asked.setdefault(reference, []).append(want)
                if not self._is_judging:
                    self._is_judging = True
                    self._outbox.add(partial(self._spawn, self._judge))
        self._outbox.deliver()
        return want

    def _judge(self) -> None:
        """One reference after the other, as long as there are any."""
        while True:
            with self._lock:
                reference = next(iter(self._asked), None)
                if reference is None:
                    self._is_judging = False
                    self._lock.notify_all()
                    return
            result = self._judged(reference)
            with self._lock:
                self._remember(reference, result)
                for want in self._asked.pop(reference):
                    self._enter(want, result)
            self._outbox.deliver()

    def _judged(self, reference: str) -> Found | Mlxk2Error:
        try:
            return self._finder.find(reference, self._known)
        except Mlxk2Error as error:
            return error
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            return InternalError(f"The model could not be looked up: {error}", details=type(error).__name__)

    def _known(self, key: ModelKey) -> Found | None:
        with self._lock:
            room = self._rooms.get(key)
            return room.found if room is not None and room.gate is not None else None

    def _offer(self, found: Found) -> Offer:
        with self._lock:
            seat = self._pool.seat(found.key)
            return found.offer(seat.stage.value if seat is not None else "unloaded")

    # Those below change the state and fill the outbox; they are called with the lock held.

    def _recall(self, reference: str) -> Found | Mlxk2Error | None:
        until, result = self._remembered.get(reference, (0.0, None))
        return result if self._clock.now() < until else None

    def _remember(self, reference: str, result: Found | Mlxk2Error) -> None:
        now = self._clock.now()
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered = {known: old for known, old in self._remembered.items() if now < old[0]}
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[reference] = (now + _REMEMBERED, result)

    def _enter(self, want: WantId, result: Found | Mlxk2Error) -> None:
        wish = self._wishes.get(want)
        if wish is None:
            return
        if isinstance(result, Mlxk2Error):
            self._refuse(want, result)
            return
        room = self._rooms.setdefault(result.key, _Room(result))
        room.found = result
        wish.key = result.key
        need = Need(result.name, result.appetite.least, result.appetite.desired)
        ahead = wish.loaded is not None
        actions = self._pool.want(want, result.key, need, self._clock.now(), pinned=result.pinned, ahead=ahead)
        self._apply(actions)
        if self._pool.is_waiting(want):
            self._outbox.add(partial(_say, wish.tell, LoadProgress(room.stage)))
        self._tidy()

    def _refuse(self, want: WantId, error: Mlxk2Error) -> None:
        wish = self._wishes.pop(want)
        self._outbox.add(partial(_say, wish.tell, Refused(error)))

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Load):
                self._rooms[action.key].stage = _STARTING
                self._outbox.add(partial(self._spawn, partial(self._load, action.key, action.size)))
            elif isinstance(action, Close):
                self._outbox.add(partial(self._spawn, partial(self._end, action.key)))
            elif isinstance(action, Grant):
                self._grant(action.want, self._rooms[action.key])
            else:
                self._refuse(action.want, action.error)

    def _grant(self, want: WantId, room: _Room) -> None:
        wish = self._wishes[want]
        if wish.loaded is None:
            self._outbox.add(partial(self._hand_over, want, wish, room))
        else:
            del self._wishes[want]
            self._outbox.add(wish.loaded)

    def _tidy(self) -> None:
        """Rooms that nobody has or waits for are forgotten."""
        wanted = {wish.key for wish in self._wishes.values()}
        for key in [key for key in self._rooms if key not in wanted and self._pool.seat(key) is None]:
            del self._rooms[key]
        self._lock.notify_all()

    def _figures(self, seat: Seat, now: float) -> tuple[State, int, float | None, float | None, int]:
        expires = self._pool.expires(seat)
        return (
            seat.stage.value,
            len(seat.holders),
            max(now - seat.idle_since, 0.0) if seat.is_idle else None,
            None if expires is None else max(expires - now, 0.0),
            seat.size,
        )

    # The rest calls engines and whoever waits, and so is called without the lock.

    def _hand_over(self, want: WantId, wish: _Wish, room: _Room) -> None:
        with self._lock:
            engine, gate = room.engine, room.gate
            if want not in self._wishes or engine is None or gate is None:
                return
        lease = Lease(
            room.found.offer("loaded"), engine, gate, room.found.generation_config, partial(self.give_up, want)
        )
        try:
            wish.tell(lease)
        except Exception:  # noqa: BLE001 - a defect of whoever listens does not hold a model for ever
            lease.release()

    def _load(self, key: ModelKey, size: int) -> None:
        """In the background: blocks until the model is loaded."""
        with self._lock:
            room = self._rooms[key]
        options = LoadOptions(
            context_length=room.found.context_length,
            prefix_cache_bytes=room.found.appetite.for_prefixes(size),
            memory_limit=None if self._memory is None else size,
        )
        try:
            engine = self._loader.load(self._finder.location(key), options, partial(self._watch, key, room))
        except Mlxk2Error as error:
            self._on_failed(key, error)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._on_failed(key, EngineFailure(f"'{room.found.name}' could not be loaded: {error}"))
        else:
            self._on_loaded(key, room, engine, options)

    def _on_failed(self, key: ModelKey, error: Mlxk2Error) -> None:
        with self._lock:
            self._apply(self._pool.failed(key, error, self._clock.now()))
            self._tidy()
        self._outbox.deliver()

    def _on_loaded(self, key: ModelKey, room: _Room, engine: Engine, options: LoadOptions) -> None:
        """The engine says what the model truly takes; the rest of its memory is for requests."""
        info, expected = engine.info(), room.found.appetite
        cost = info.kv if info.kv.layers or info.kv.fixed_bytes else None
        truth = appetite(info.weights_bytes or expected.weights, cost, info.context_length, options.prefix_cache_bytes)
        with self._lock:
            granted = self._pool.settle(key, Need(room.found.name, truth.least, truth.desired))
        gate = self._gates(engine, None if self._memory is None else truth.for_requests(granted))
        with self._lock:
            room.engine, room.gate = engine, gate
            self._apply(self._pool.loaded(key, self._clock.now()))
            self._tidy()
        self._outbox.deliver()

    def _watch(self, key: ModelKey, room: _Room, seen: Loading | Stepped) -> None:
        """News of the engine, in its thread; of a worker that starts anew, too."""
        if not isinstance(seen, Loading):
            return
        with self._lock:
            room.stage, room.abort = seen.stage, seen.abort
            for want, waited in self._pool.waiting:
                if waited == key:
                    self._outbox.add(partial(_say, self._wishes[want].tell, LoadProgress(seen.stage)))
            is_unwanted = room.is_unwanted
        self._outbox.deliver()
        if is_unwanted and seen.abort is not None:
            seen.abort()

    def _end(self, key: ModelKey) -> None:
        """In the background: end the model's worker, or its loading, whose end is heard of in `_load`."""
        with self._lock:
            room = self._rooms[key]
            gate, abort = room.gate, room.abort
            room.is_unwanted = True
            if room.is_closing:
                return
            room.is_closing = gate is not None
        if gate is None:
            if abort is not None:
                abort()
            return
        try:
            gate.close()
        finally:
            with self._lock:
                self._apply(self._pool.closed(key, self._clock.now()))
                self._rooms[key] = _Room(room.found)
                self._tidy()
            self._outbox.deliver()


def _say(tell: Tell, news: Told) -> None:
    with suppress(Exception):  # a defect of whoever listens harms nobody else
        tell(news)
