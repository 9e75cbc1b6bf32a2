"""The models of a server: found, loaded when they are first wanted, shared by everybody who wants the same snapshot.

It knows the rules of `domain/pool.py` and does what they say. The state is changed under one lock; callers are told,
and work is begun, without it and in order. What may take its time (judging a snapshot, loading, ending a worker) runs
in the background, so that `want` returns at once and requests for other models keep flowing.
"""

from collections.abc import Callable
from functools import partial
from itertools import count

from mlxk2.domain.breakdowns import Breakdowns
from mlxk2.domain.budget import plan_memory
from mlxk2.domain.outbox import Outbox
from mlxk2.domain.pool import Action, Close, Grant, Load, Pool
from mlxk2.domain.seating import ModelKey, PoolLimits, WantId
from mlxk2.domain.usecases.serve_models_finding import Found, ModelFinder
from mlxk2.domain.usecases.serve_models_loading import Opener
from mlxk2.domain.usecases.serve_models_lookup import Lookup, Result
from mlxk2.domain.usecases.serve_models_records import (
    Lease,
    LoadProgress,
    ModelStatus,
    Monitor,
    Offer,
    PoolStatus,
    Refused,
    ServeLimits,
    Spawn,
    Tell,
    Told,
)
from mlxk2.domain.usecases.serve_models_rooms import STARTING, WAITING, Room, Wish, status_of, with_engine
from mlxk2.domain.usecases.serve_requests import GateMaker
from mlxk2.ports.engine import EngineLoader, Loading, Stepped
from mlxk2.ports.errors import Mlxk2Error
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


_BETWEEN_RELEASES = 60.0
"""Seconds. What requests leave behind is scattered between what lives on, and a server would grow by it for an hour."""


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
        finder.check()
        self._finder = finder
        self._machine = machine
        self._clock = clock
        self._released = clock.now()
        self._lock = monitor
        self._spawn = spawn
        self._memory = limits.memory if limits.memory is not None else plan_memory(machine).grant
        self._pool = Pool(
            PoolLimits(self._memory, limits.most_models, limits.keep_alive, limits.queue, limits.patience)
        )
        self._opener = Opener(loader, gates, is_bounded=self._memory is not None)
        self._outbox = Outbox(monitor)
        self._lookup = Lookup(finder, clock, monitor, self._outbox, spawn, self._enter, self._known)
        self._wants = count(1)
        self._wishes: dict[WantId, Wish] = {}
        self._rooms: dict[ModelKey, Room] = {}
        self._breakdowns = Breakdowns()

    def offers(self) -> list[Offer]:
        """Every model that can be asked for, sorted by name. Reads the cache."""
        return [self._offer(found) for found in self._lookup.find_all()]

    def find(self, reference: str) -> Offer:
        """May read the cache.

        Raises ValidationError, ModelNotFound (with near names), AmbiguousMatch, or OperationError for a model that
        cannot be run.
        """
        return self._offer(self._lookup.find(reference))

    def want(self, reference: str, tell: Tell) -> WantId:
        """Ask for a model; it is loaded if need be. Never raises: what is wrong comes as `Refused`."""
        return self._wish(reference, Wish(tell))

    def load(self, reference: str, tell: Callable[[Mlxk2Error | None], None]) -> None:
        """Load a model ahead of any request; `tell` hears None once it is loaded, or why it cannot be."""

        def listen(news: Told) -> None:
            if isinstance(news, Refused):
                tell(news.error)

        self._wish(reference, Wish(listen, partial(tell, None)))

    def give_up(self, want: WantId) -> None:
        """Nobody waits for it any more; what it has got is let go. An id that is unknown or over changes nothing."""
        with self._lock:
            if self._wishes.pop(want, None) is not None:
                self._apply(self._pool.release(want, self._clock.now()))
        self._outbox.deliver()

    def unload(self, reference: str, *, force: bool = False) -> None:
        """Unload a model, in all revisions unless one is named; nothing happens when it is not loaded.

        Raises ValidationError, ModelNotFound, AmbiguousMatch; Conflict when it is busy, unless with `force`, which ends
        its requests.
        """
        with self._lock:
            loaded = [room.found.name for room in self._rooms.values()]
        name, revision = self._finder.name(reference, loaded)
        with self._lock:
            for key, room in list(self._rooms.items()):
                if room.found.name == name and key.commit.startswith(revision):
                    self._apply(self._pool.unload(key, self._clock.now(), force=force))
        self._outbox.deliver()

    def status(self) -> PoolStatus:
        """What is in memory now. Never waits for an engine."""
        with self._lock:
            now, waiting = self._clock.now(), [key for _, key in self._pool.waiting]
            rooms = [(seat, self._rooms[seat.key]) for seat in self._pool.seats]
            models = [
                (status_of(room, seat, waiting.count(seat.key), self._pool.expires(seat), now), room.engine, room.gate)
                for seat, room in rooms
            ]
            homeless = sum(self._pool.seat(key) is None for key in waiting)
            taken = self._pool.taken
        return PoolStatus(tuple(with_engine(*model) for model in models), self._memory, taken, homeless)

    def pass_time(self) -> None:
        """To be called about once a second: idle models go, and whoever has waited too long is refused.

        Once a minute this process gives back the memory that requests have left behind.
        """
        now = self._clock.now()
        if abs(now - self._released) >= _BETWEEN_RELEASES:
            self._released = now
            self._machine.release_memory()
        with self._lock:
            self._apply(self._pool.pass_time(now))
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
            self._lock.wait_for(lambda: not self._pool.seats and not self._lookup.is_running)

    def _wish(self, reference: str, wish: Wish) -> WantId:
        with self._lock:
            want = next(self._wants)
            self._wishes[want] = wish
            self._lookup.ask(want, reference)
        self._outbox.deliver()
        return want

    def _known(self, key: ModelKey) -> Found | None:
        with self._lock:
            room = self._rooms.get(key)
            return room.found if room is not None and room.gate is not None else None

    def _offer(self, found: Found) -> Offer:
        with self._lock:
            seat = self._pool.seat(found.key)
            return found.offer("unloaded" if seat is None else seat.stage.value)

    # Those below change the state and fill the outbox; they are called with the lock held.

    def _enter(self, want: WantId, result: Result) -> None:
        """It is known what the want means."""
        wish = self._wishes.get(want)
        if wish is None:
            return
        if isinstance(result, Mlxk2Error):
            self._refuse(want, result)
            return
        if (error := self._breakdowns.lately(result.key, self._clock.now())) is not None:
            self._refuse(want, error)
            return
        wish.key = result.key
        room = self._rooms.setdefault(result.key, Room(result))
        room.found = result
        ahead = wish.loaded is not None
        for key in self._rooms:
            if key.folder == result.key.folder:
                self._pool.pin(key, pinned=result.pins_commit(key.commit))
        actions = self._pool.want(want, result.key, result.need, self._clock.now(), ahead=ahead)
        self._apply(actions)
        if self._pool.is_waiting(want) and not any(isinstance(action, Load) for action in actions):
            self._outbox.add(partial(wish.say, LoadProgress(room.stage)))

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Load):
                self._begin_to_load(action)
            elif isinstance(action, Close):
                self._outbox.add(partial(self._spawn, partial(self._end, action.key, self._rooms[action.key])))
            elif isinstance(action, Grant):
                self._grant(action.want, self._rooms[action.key])
            else:
                self._refuse(action.want, action.error)
        wanted = {wish.key for wish in self._wishes.values()}
        for key in [key for key in self._rooms if key not in wanted and self._pool.seat(key) is None]:
            del self._rooms[key]
        self._lock.notify_all()

    def _begin_to_load(self, action: Load) -> None:
        room = self._rooms[action.key]
        self._progress(action.key, room, STARTING)
        self._outbox.add(partial(self._spawn, partial(self._load, action.key, room, action.size)))

    def _progress(self, key: ModelKey, room: Room, stage: str) -> None:
        room.stage = stage
        for want, wanted in self._pool.waiting:
            if wanted == key:
                self._outbox.add(partial(self._wishes[want].say, LoadProgress(stage)))

    def _vacate(self, key: ModelKey) -> None:
        """What was there is gone; whoever waits for the model waits for a new one."""
        self._rooms[key] = Room(self._rooms[key].found)

    def _grant(self, want: WantId, room: Room) -> None:
        wish = self._wishes[want]
        if wish.loaded is None:
            self._outbox.add(partial(self._hand_over, want, wish, room))
        else:
            del self._wishes[want]
            self._outbox.add(wish.say_loaded)

    def _refuse(self, want: WantId, error: Mlxk2Error) -> None:
        self._outbox.add(partial(self._wishes.pop(want).say, Refused(error)))

    # The rest calls engines and whoever waits, and so is called without the lock.

    def _hand_over(self, want: WantId, wish: Wish, room: Room) -> None:
        with self._lock:
            engine, gate = room.engine, room.gate
            if want not in self._wishes or engine is None or gate is None:
                return
        offer, config = room.found.offer("loaded"), room.found.generation_config
        lease = Lease(offer, engine, gate, config, partial(self.give_up, want))
        try:
            wish.tell(lease)
        except Exception:  # noqa: BLE001 - a defect of whoever listens does not hold a model for ever
            lease.release()

    def _load(self, key: ModelKey, room: Room, size: int) -> None:
        """In the background: blocks until the model is loaded."""
        watch = partial(self._watch, key, room)
        try:
            opened = self._opener.open(room.found, self._finder.location(key), size, watch)
        except Mlxk2Error as error:
            with self._lock:
                self._vacate(key)
                if not room.is_unwanted:
                    self._breakdowns.failed(key, error, self._clock.now())
                self._apply(self._pool.failed(key, error, self._clock.now()))
        else:
            with self._lock:
                granted = self._pool.settle(key, opened.need)
            gate = self._opener.gate(opened, granted)
            with self._lock:
                room.engine, room.gate = opened.engine, gate
                self._breakdowns.loaded(key)
                self._apply(self._pool.loaded(key, self._clock.now()))
        self._outbox.deliver()

    def _watch(self, key: ModelKey, room: Room, seen: Loading | Stepped) -> None:
        """News of the engine, in its thread."""
        if not isinstance(seen, Loading):
            return
        with self._lock:
            room.abort = seen.abort
            self._progress(key, room, seen.stage)
            is_unwanted = room.is_unwanted
        self._outbox.deliver()
        if is_unwanted and seen.abort is not None:
            seen.abort()

    def _end(self, key: ModelKey, room: Room) -> None:
        """In the background: end the model's worker, or its loading, whose end is heard of in `_load`."""
        with self._lock:
            room.is_unwanted, room.stage = True, WAITING
            gate, abort = room.gate, room.abort
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
                self._vacate(key)
                self._apply(self._pool.closed(key, self._clock.now()))
            self._outbox.deliver()
