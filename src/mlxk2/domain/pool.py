"""Which models a server holds in memory, which of them go, and who waits: a pure state machine.

Tell it what happens, and it answers with what is to be done. The rules:

- A model is loaded when it is first wanted. It may take `Need.desired` bytes, and never less than `Need.least`.
- What does not fit makes others go: models that are idle and not pinned, those first that were used longest ago, and
  no more of them than needed. A model that is busy or being loaded never goes, nor does a pinned one.
- Whoever waits for memory waits in one line, first come, first served. While somebody waits, the models that will have
  to go for it take no new requests: these wait behind it. So busy models come to rest, and nobody starves.
- What can never fit beside the pinned models is refused at once. A wait has an end, and so has the line of a model.
- Memory counts as taken until a model's worker is really gone.

There is no clock here: times are arguments, in seconds, and only their differences matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mlxk2.domain.sizes import size
from mlxk2.ports.errors import Conflict, Mlxk2Error, NotEnoughMemory, OperationError, Overloaded

WantId = int


class ModelKey(NamedTuple):
    """One snapshot of the cache, by whatever name it is asked for."""

    folder: str
    commit: str


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model must have to be of use, and that it could use well. `name` is for people."""

    name: str
    least: int
    desired: int


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """`memory` in bytes for all models together; None is no bound. Idle models go after `keep_alive` seconds.

    `queue` requests may wait for one model here, `patience` seconds each.
    """

    memory: int | None = None
    most_models: int | None = None
    keep_alive: float | None = 300.0
    queue: int = 256
    patience: float = 300.0


class Stage(Enum):
    """Where a model of the pool is."""

    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model into so many bytes; then say `loaded` or `failed`."""

    key: ModelKey
    size: int


@dataclass(frozen=True, slots=True)
class Close:
    """End the model's worker, also one that is still loading; then say `closed`, `loaded` or `failed`."""

    key: ModelKey


@dataclass(frozen=True, slots=True)
class Grant:
    """The model is loaded, and this one may use it."""

    want: WantId
    key: ModelKey


@dataclass(frozen=True, slots=True)
class Refuse:
    """This one has waited for nothing."""

    want: WantId
    error: Mlxk2Error


Action = Load | Close | Grant | Refuse


@dataclass(slots=True)
class Seat:
    """A model's place in the pool; to be read only. `size` in bytes, `idle_since` counts while nobody holds it."""

    key: ModelKey
    need: Need
    size: int
    idle_since: float
    pinned: bool = False
    stage: Stage = Stage.LOADING
    holders: set[WantId] = field(default_factory=set)
    was_used: bool = False

    @property
    def is_idle(self) -> bool:
        return self.stage is Stage.LOADED and not self.holders


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: ModelKey
    need: Need
    pinned: bool
    ahead: bool
    since: float


class Pool:
    """Every want gets one end: `Grant`, which lasts until `release`, or `Refuse`; none when it was released before."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._seats: dict[ModelKey, Seat] = {}
        """The one that was used longest ago comes first."""
        self._line: dict[WantId, _Waiting] = {}
        self._held: dict[WantId, Seat] = {}
        self._doomed: frozenset[ModelKey] = frozenset()
        self._is_closing = False

    @property
    def seats(self) -> tuple[Seat, ...]:
        return tuple(self._seats.values())

    @property
    def waiting(self) -> tuple[tuple[WantId, ModelKey], ...]:
        """In the order of the line, who waits for memory or for a model that is being loaded."""
        return tuple((want, waiting.key) for want, waiting in self._line.items())

    def is_waiting(self, want: WantId) -> bool:
        return want in self._line

    @property
    def taken(self) -> int:
        """Bytes that all models may take together, those included whose workers are ending."""
        return sum(seat.size for seat in self._seats.values())

    def seat(self, key: ModelKey) -> Seat | None:
        return self._seats.get(key)

    def expires(self, seat: Seat) -> float | None:
        """When the model goes if nobody wants it until then; None where it stays.

        One that goes as soon as it is idle stays until it was used for the first time: somebody loaded it ahead.
        """
        keep_alive = self._limits.keep_alive
        if keep_alive is None or seat.pinned or not seat.is_idle or not (keep_alive or seat.was_used):
            return None
        return seat.idle_since + keep_alive

    def want(
        self, want: WantId, key: ModelKey, need: Need, now: float, *, pinned: bool = False, ahead: bool = False
    ) -> list[Action]:
        """Somebody asks for a model. With `ahead`, it is only to be loaded: nobody holds it after the grant."""
        seat = self._seats.get(key)
        if seat is not None:
            seat.pinned = pinned
        error = self._objection(key, need, seat)
        if error is not None:
            return [Refuse(want, error)]
        self._line[want] = _Waiting(key, need, pinned, ahead, now)
        return self._advance(now)

    def release(self, want: WantId, now: float) -> list[Action]:
        """It needs the model no longer, whether it has it or waits for it; an id that is not here changes nothing."""
        self._line.pop(want, None)
        seat = self._held.pop(want, None)
        if seat is not None:
            seat.holders.discard(want)
            self._touch(seat, now)
        return self._advance(now)

    def settle(self, key: ModelKey, need: Need) -> int:
        """The model is in memory, and this is what it truly needs: the bytes that it may take from now on."""
        seat = self._seats[key]
        seat.need = need
        seat.size = self._slice(need, None if (free := self._free()) is None else free + seat.size)
        return seat.size

    def loaded(self, key: ModelKey, now: float) -> list[Action]:
        seat = self._seats[key]
        if seat.stage is Stage.UNLOADING:
            return [Close(key)]
        seat.stage = Stage.LOADED
        self._touch(seat, now)
        return self._advance(now)

    def failed(self, key: ModelKey, error: Mlxk2Error, now: float) -> list[Action]:
        """It could not be loaded, and nothing is left of it: whoever waits for it is told so."""
        seat = self._seats.pop(key)
        if seat.stage is Stage.UNLOADING:
            return self._advance(now)
        refused = [want for want, waiting in self._line.items() if waiting.key == key]
        return [*self._refuse(refused, error), *self._advance(now)]

    def closed(self, key: ModelKey, now: float) -> list[Action]:
        """Its worker is gone, and the memory is free."""
        del self._seats[key]
        return self._advance(now)

    def unload(self, key: ModelKey, now: float, *, force: bool = False) -> list[Action]:
        """The operator wants it gone. Raises Conflict for one that is busy or being loaded, unless with `force`."""
        seat = self._seats.get(key)
        if seat is None or seat.stage is Stage.UNLOADING:
            return []
        if not force and not seat.is_idle:
            doing = "is being loaded" if seat.stage is Stage.LOADING else f"answers {len(seat.holders)} requests"
            raise Conflict(f"'{seat.need.name}' {doing}; unload it later, or force it, which ends them")
        error = OperationError(f"'{seat.need.name}' was unloaded by the operator; send the request again to load it")
        refused = [want for want, waiting in self._line.items() if waiting.key == key and seat.stage is Stage.LOADING]
        return [*self._refuse(refused, error), self._close(seat), *self._advance(now)]

    def pass_time(self, now: float) -> list[Action]:
        """Idle models go when their time has come, and whoever has waited too long is refused."""
        late = [want for want, waiting in self._line.items() if self._is_late(waiting, now)]
        expired = [
            seat for seat in self._seats.values() if (expires := self.expires(seat)) is not None and now >= expires
        ]
        refused = [
            Refuse(want, _waited_too_long(waiting.need.name, now - waiting.since))
            for want in late
            if (waiting := self._line.pop(want))
        ]
        return [*refused, *(self._close(seat) for seat in expired), *self._advance(now)]

    def close(self) -> list[Action]:
        """The server ends: nobody gets anything any more, and all models go."""
        self._is_closing = True
        refused = self._refuse(list(self._line), _shutting_down())
        return [*refused, *(self._close(seat) for seat in self.seats if seat.stage is not Stage.UNLOADING)]

    def _objection(self, key: ModelKey, need: Need, seat: Seat | None) -> Mlxk2Error | None:
        """Why a new request is refused without a wait."""
        if self._is_closing:
            return _shutting_down()
        if sum(waiting.key == key for waiting in self._line.values()) >= self._limits.queue:
            return Overloaded(f"{self._limits.queue} requests already wait for '{need.name}'; try again later")
        return self._never(key, need) if seat is None else None

    def _is_late(self, waiting: _Waiting, now: float) -> bool:
        """Who waits for a model that is being loaded is not: loading has an end of its own."""
        seat = self._seats.get(waiting.key)
        loading = seat is not None and seat.stage is Stage.LOADING
        return not loading and now - waiting.since >= self._limits.patience

    def _advance(self, now: float) -> list[Action]:
        """Go through the line once, in order: who can have a model has it, and the first that cannot holds memory."""
        actions: list[Action] = []
        victims: frozenset[ModelKey] | None = None
        for want, waiting in list(self._line.items()):
            seat = self._seats.get(waiting.key)
            if seat is not None and seat.stage is Stage.LOADED:
                if waiting.key not in (victims or ()):
                    actions.append(self._grant(want, waiting, seat, now))
            elif (seat is None or seat.stage is Stage.UNLOADING) and victims is None:
                error = self._never(waiting.key, waiting.need)
                if error is not None:
                    actions += self._refuse([want], error)
                    continue
                chosen = self._victims(waiting)
                if seat is None and not chosen and self._has_room(waiting.need):
                    actions.append(self._load(waiting, now))
                else:
                    victims = frozenset(seat.key for seat in chosen)
                    if all(seat.is_idle for seat in chosen):
                        actions += [self._close(seat) for seat in chosen]
        self._doomed = victims or frozenset()
        return [*actions, *self._come_back_within()]

    def _grant(self, want: WantId, waiting: _Waiting, seat: Seat, now: float) -> Grant:
        del self._line[want]
        if not waiting.ahead:
            seat.was_used = True
            seat.holders.add(want)
            self._held[want] = seat
        self._touch(seat, now)
        return Grant(want, seat.key)

    def _load(self, waiting: _Waiting, now: float) -> Load:
        taken = self._slice(waiting.need, self._free())
        self._seats[waiting.key] = Seat(waiting.key, waiting.need, taken, now, waiting.pinned)
        return Load(waiting.key, taken)

    def _close(self, seat: Seat) -> Close:
        seat.stage = Stage.UNLOADING
        for want in seat.holders:
            del self._held[want]
        seat.holders.clear()
        return Close(seat.key)

    def _refuse(self, wants: Iterable[WantId], error: Mlxk2Error) -> list[Action]:
        for want in wants:
            del self._line[want]
        return [Refuse(want, error) for want in wants]

    def _touch(self, seat: Seat, now: float) -> None:
        """It was used just now."""
        seat.idle_since = now
        if seat.key in self._seats and self._seats[seat.key] is seat:
            self._seats[seat.key] = self._seats.pop(seat.key)

    def _free(self) -> int | None:
        return None if self._limits.memory is None else self._limits.memory - self.taken

    def _slice(self, need: Need, free: int | None) -> int:
        """What the model gets of what is free: it leaves room for another one of its kind, where there is that much."""
        if free is None:
            return need.desired
        others = self._limits.most_models is None or len(self._seats) + 1 < self._limits.most_models
        spared = need.least if others and free >= 2 * need.least else 0
        return max(need.least, min(need.desired, free - spared))

    def _has_room(self, need: Need) -> bool:
        free, most = self._free(), self._limits.most_models
        return (free is None or need.least <= free) and (most is None or len(self._seats) < most)

    def _never(self, key: ModelKey, need: Need) -> Mlxk2Error | None:
        """Why the model cannot be loaded however long one waits."""
        pinned = [
            seat
            for seat in self._seats.values()
            if seat.pinned and seat.key != key and seat.stage is not Stage.UNLOADING
        ]
        most, memory = self._limits.most_models, self._limits.memory
        if most is not None and len(pinned) >= most:
            return OperationError(
                f"'{need.name}' cannot be loaded: this server may hold {most} models at once, and those are pinned;"
                " ask for one of them, or let it hold more"
            )
        if memory is None or need.least <= memory - sum(seat.size for seat in pinned):
            return None
        return _too_large(need, memory - sum(seat.size for seat in pinned), beside=bool(pinned))

    def _victims(self, waiting: _Waiting) -> list[Seat]:
        """Who has to go for it, beside those that are going anyway; the fewest of those used longest ago."""
        staying = [
            seat for seat in self._seats.values() if seat.stage is not Stage.UNLOADING and seat.key != waiting.key
        ]
        candidates = sorted((seat for seat in staying if not seat.pinned), key=self._reluctance)
        chosen: list[Seat] = []
        for seat in candidates:
            if self._fits_beside(waiting.need, staying, chosen):
                break
            chosen.append(seat)
        for seat in list(chosen):
            fewer = [other for other in chosen if other is not seat]
            if self._fits_beside(waiting.need, staying, fewer):
                chosen = fewer
        return chosen

    def _reluctance(self, seat: Seat) -> tuple[bool, bool]:
        """Idle models go first; then, of the busy ones, those that take no new requests already."""
        return not seat.is_idle, seat.key not in self._doomed

    def _fits_beside(self, need: Need, staying: list[Seat], going: list[Seat]) -> bool:
        memory, most = self._limits.memory, self._limits.most_models
        left = [seat for seat in staying if seat not in going]
        taken = sum(seat.size for seat in left)
        return (memory is None or taken + need.least <= memory) and (most is None or len(left) < most)

    def _come_back_within(self) -> list[Action]:
        """A model that turned out larger than it looked makes idle ones go, until the limit holds again."""
        actions: list[Action] = []
        for seat in self.seats:
            over = self.taken - sum(s.size for s in self.seats if s.stage is Stage.UNLOADING)
            if self._limits.memory is None or over <= self._limits.memory:
                break
            if seat.is_idle and not seat.pinned:
                actions.append(self._close(seat))
        return actions


def _too_large(need: Need, limit: int, *, beside: bool) -> NotEnoughMemory:
    return NotEnoughMemory(
        f"'{need.name}' needs at least {size(need.least)} of memory, and this server has {size(max(limit, 0))} for it"
        f"{' beside its pinned models' if beside else ''}; take a smaller quantization, or give the server more memory",
        needed_bytes=need.least,
        limit_bytes=max(limit, 0),
    )


def _waited_too_long(name: str, seconds: float) -> Overloaded:
    return Overloaded(
        f"The request waited {seconds:.0f} s until '{name}' could be loaded and was given up: other models are busy;"
        " try again later"
    )


def _shutting_down() -> Overloaded:
    return Overloaded("The server is shutting down; send the request again when it is back")
