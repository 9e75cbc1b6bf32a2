"""The models in a server's memory, how much room they leave, and who would have to go for another one.

Rules of numbers only; who waits for what, and since when, is in `domain/pool.py`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mlxk2.domain.sizes import size
from mlxk2.ports.errors import NotEnoughMemory, OperationError

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


@dataclass(slots=True, eq=False)
class Seat:
    """A model's place in memory. `size` is what it may take, in bytes; `idle_since` counts while nobody holds it.

    `ahead`: it was loaded for requests to come, and none has come yet.
    """

    key: ModelKey
    need: Need
    size: int
    idle_since: float
    ahead: bool = False
    pinned: bool = False
    stage: Stage = Stage.LOADING
    holders: set[WantId] = field(default_factory=set)

    @property
    def is_idle(self) -> bool:
        return self.stage is Stage.LOADED and not self.holders

    def stays_for(self, *, ahead: bool) -> bool:
        """Nobody makes a pinned model go, nor one that is loaded ahead another one of these."""
        return self.pinned or (ahead and self.ahead)


class Seats:
    """In the order in which they were used, the one that was used longest ago first."""

    def __init__(self, limits: PoolLimits) -> None:
        self._memory = limits.memory
        self._most = limits.most_models
        self._seats: dict[ModelKey, Seat] = {}

    def __getitem__(self, key: ModelKey) -> Seat:
        return self._seats[key]

    def get(self, key: ModelKey) -> Seat | None:
        return self._seats.get(key)

    @property
    def all(self) -> tuple[Seat, ...]:
        return tuple(self._seats.values())

    @property
    def taken(self) -> int:
        """Bytes, those included that are about to be free."""
        return sum(seat.size for seat in self._seats.values())

    def add(self, seat: Seat) -> None:
        self._seats[seat.key] = seat

    def remove(self, key: ModelKey) -> Seat:
        return self._seats.pop(key)

    def touch(self, seat: Seat, now: float) -> None:
        """It was used just now."""
        seat.idle_since = now
        self._seats[seat.key] = self._seats.pop(seat.key)

    def share(self, key: ModelKey, need: Need, others: int) -> int:
        """What a model gets of what is free, or is its own already.

        It leaves room for those who wait, `others` bytes, and else for one more of its kind, if it can.
        """
        own = self._seats.get(key)
        if self._memory is None:
            return need.desired
        free = self._memory - self.taken + (own.size if own else 0)
        room_for_more = self._most is None or len(self._seats.keys() | {key}) < self._most
        spare = others or (need.least if room_for_more and free >= 2 * need.least else 0)
        return max(need.least, min(need.desired, free - spare))

    def has_room(self, need: Need) -> bool:
        """It can be loaded at this moment."""
        return self._fits(need, self.all)

    def impossible(self, key: ModelKey, need: Need, *, ahead: bool) -> OperationError | None:
        """Why the model cannot be loaded however long one waits. One that is still loading may yet be given less."""
        fixed = [
            seat
            for seat in self._seats.values()
            if seat.key != key and seat.stage is not Stage.UNLOADING and seat.stays_for(ahead=ahead)
        ]
        if self._most is not None and len(fixed) >= self._most:
            return _too_many(need, self._most)
        taken = sum(seat.size if seat.stage is Stage.LOADED else seat.need.least for seat in fixed)
        if self._memory is None or taken + need.least <= self._memory:
            return None
        return _too_large(need, max(self._memory - taken, 0), beside=[seat.need.name for seat in fixed])

    def victims(self, key: ModelKey, need: Need, already: Collection[ModelKey], *, ahead: bool) -> list[Seat] | None:
        """Who has to go for it, beside those that are going anyway: the fewest, those first that were used longest ago.

        Idle ones go before busy ones; of the busy ones, those that are to go `already`. None where that is not enough.
        """
        staying = [seat for seat in self._seats.values() if seat.stage is not Stage.UNLOADING and seat.key != key]
        candidates = [seat for seat in staying if not seat.stays_for(ahead=ahead)]
        candidates.sort(key=lambda seat: (not seat.is_idle, seat.key not in already))
        return _fewest(candidates, lambda going: self._fits(need, [seat for seat in staying if seat not in going]))

    def surplus(self) -> list[Seat]:
        """Idle models that must go because one turned out larger than it looked; never the one that was used last."""
        staying = [seat for seat in self._seats.values() if seat.stage is not Stage.UNLOADING]
        candidates = [seat for seat in staying[:-1] if seat.is_idle and not seat.pinned]
        fewest = _fewest(candidates, lambda going: self._holds([seat for seat in staying if seat not in going]))
        return candidates if fewest is None else fewest

    def _fits(self, need: Need, beside: Sequence[Seat]) -> bool:
        taken = sum(seat.size for seat in beside)
        fits = self._memory is None or taken + need.least <= self._memory
        return fits and (self._most is None or len(beside) < self._most)

    def _holds(self, staying: Sequence[Seat]) -> bool:
        return self._memory is None or sum(seat.size for seat in staying) <= self._memory


def _fewest(candidates: Sequence[Seat], is_enough: Callable[[Sequence[Seat]], bool]) -> list[Seat] | None:
    """As many of the candidates as it takes, from the first on, without those that turn out not to be needed.

    None where all of them are not enough.
    """
    numbers = range(len(candidates) + 1)
    chosen = next((list(candidates[:number]) for number in numbers if is_enough(candidates[:number])), None)
    for seat in chosen or ():
        fewer = [other for other in chosen or () if other is not seat]
        if is_enough(fewer):
            chosen = fewer
    return chosen


def _too_many(need: Need, most: int) -> OperationError:
    return OperationError(
        f"'{need.name}' cannot be loaded: this server holds at most {most} at once, and those are to stay; ask for one"
        " of them, or let it hold more"
    )


def _too_large(need: Need, limit: int, *, beside: Sequence[str]) -> NotEnoughMemory:
    others = f" beside {', '.join(beside)}" if beside else ""
    return NotEnoughMemory(
        f"'{need.name}' needs at least {size(need.least)} of memory, and this server has {size(limit)} for it{others};"
        " take a smaller quantization, or give the server more memory",
        needed_bytes=need.least,
        limit_bytes=limit,
    )
