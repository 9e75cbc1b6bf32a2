"""Which models a server holds in memory, which of them go, and who waits: a pure state machine.

Tell it what happens, and it answers with what is to be done. The rules:

- A model is loaded when it is first wanted, into as much memory as it could use, or less where there is less.
- What does not fit makes others go: models that are idle and not pinned, those first that were used longest ago, and
  no more of them than needed. A model that is busy or being loaded never goes, nor does a pinned one.
- Whoever waits for memory waits in one line, first come, first served. While somebody waits, the models that will have
  to go for it take no new requests: these wait behind it. So busy models come to rest, and nobody starves.
- What can never fit beside the pinned models is refused at once. A wait has an end, and so has the line of a model.
- A model that is loaded ahead of its first use makes no other such model go, so that whoever asks for both hears of it.
- Memory counts as taken until a model's worker is really gone.

There is no clock here: times are arguments, in seconds, and only their differences matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mlxk2.domain.seating import ModelKey, Need, PoolLimits, Seat, Seats, Stage, WantId
from mlxk2.ports.errors import Conflict, Mlxk2Error, Overloaded


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model into so many bytes; then say `loaded` or `failed`."""

    key: ModelKey
    size: int


@dataclass(frozen=True, slots=True)
class Close:
    """End the model's worker, then say `closed`.

    One that is still loading is to be ended too; then `failed` or `loaded` is heard, and `loaded` is answered with
    this once more.
    """

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


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: ModelKey
    need: Need
    ahead: bool
    since: float


class Pool:
    """Every want gets one end: `Grant`, which lasts until `release`, or `Refuse`; none when it was released before."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._seats = Seats(limits)
        self._line: dict[WantId, _Waiting] = {}
        self._held: dict[WantId, Seat] = {}
        self._pinned: set[ModelKey] = set()
        self._doomed: frozenset[ModelKey] = frozenset()
        self._is_closing = False

    @property
    def seats(self) -> tuple[Seat, ...]:
        """To be read only. The one that was used longest ago comes first."""
        return self._seats.all

    @property
    def waiting(self) -> tuple[tuple[WantId, ModelKey], ...]:
        """In the order of the line, who waits for memory or for a model that is being loaded."""
        return tuple((want, waiting.key) for want, waiting in self._line.items())

    @property
    def taken(self) -> int:
        """Bytes that all models may take together, those included whose workers are ending."""
        return self._seats.taken

    def seat(self, key: ModelKey) -> Seat | None:
        return self._seats.get(key)

    def is_waiting(self, want: WantId) -> bool:
        return want in self._line

    def expires(self, seat: Seat) -> float | None:
        """When the model goes if nobody wants it until then; None where it stays.

        One that would go as soon as it is idle, and is loaded ahead, stays until it was used.
        """
        keep_alive = self._limits.keep_alive
        if keep_alive is None or seat.pinned or not seat.is_idle or (seat.ahead and not keep_alive):
            return None
        return seat.idle_since + keep_alive

    def pin(self, key: ModelKey, *, pinned: bool) -> None:
        """A pinned model stays, once it is in memory."""
        (self._pinned.add if pinned else self._pinned.discard)(key)
        seat = self._seats.get(key)
        if seat is not None:
            seat.pinned = pinned

    def want(self, want: WantId, key: ModelKey, need: Need, now: float, *, ahead: bool = False) -> list[Action]:
        """Somebody asks for a model. With `ahead`, it is only to be loaded: nobody holds it after the grant."""
        error = self._objection(key, need, ahead=ahead)
        if error is not None:
            return [Refuse(want, error)]
        self._line[want] = _Waiting(key, need, ahead, now)
        return self._advance(now)

    def release(self, want: WantId, now: float) -> list[Action]:
        """It needs the model no longer, whether it has it or waits for it; an id that is not here changes nothing."""
        self._line.pop(want, None)
        seat = self._held.pop(want, None)
        if seat is not None:
            seat.holders.discard(want)
            self._seats.touch(seat, now)
        return self._advance(now)

    def settle(self, key: ModelKey, need: Need) -> int:
        """The model is in memory, and this is what it truly needs: the bytes that it may take from now on."""
        seat = self._seats[key]
        seat.size = self._seats.share(key, need, self._awaited(key))
        seat.need = need
        return seat.size

    def loaded(self, key: ModelKey, now: float) -> list[Action]:
        seat = self._seats[key]
        if seat.stage is Stage.UNLOADING:
            return [Close(key)]
        seat.stage = Stage.LOADED
        self._seats.touch(seat, now)
        return self._advance(now)

    def failed(self, key: ModelKey, error: Mlxk2Error, now: float) -> list[Action]:
        """It could not be loaded, and nothing is left of it: whoever waits for it is told so."""
        seat = self._seats.remove(key)
        refused = [] if seat.stage is Stage.UNLOADING else self._refuse(self._waiting_for(key), error)
        return [*refused, *self._advance(now)]

    def closed(self, key: ModelKey, now: float) -> list[Action]:
        """Its worker is gone, and the memory is free."""
        self._seats.remove(key)
        return self._advance(now)

    def unload(self, key: ModelKey, now: float, *, force: bool = False) -> list[Action]:
        """The operator wants it gone. Raises Conflict for one that is busy or being loaded, unless with `force`."""
        seat = self._seats.get(key)
        if seat is None or seat.stage is Stage.UNLOADING:
            return []
        if not force and not seat.is_idle:
            doing = "is being loaded" if seat.stage is Stage.LOADING else "is busy"
            raise Conflict(f"'{seat.need.name}' {doing}: unload it later, or force it, which ends its requests")
        unloaded = Overloaded(f"'{seat.need.name}' was unloaded by the operator; ask again to have it loaded")
        refused = self._refuse(self._waiting_for(key), unloaded) if seat.stage is Stage.LOADING else []
        return [*refused, self._close(seat), *self._advance(now)]

    def pass_time(self, now: float) -> list[Action]:
        """Idle models go when their time has come, and whoever has waited too long is refused."""
        actions: list[Action] = []
        for want, waiting in list(self._line.items()):
            if self._is_late(waiting, now):
                actions += self._refuse([want], _waited_too_long(waiting.need.name, now - waiting.since))
        return [*actions, *self._advance(now)]

    def close(self) -> list[Action]:
        """The server ends: nobody gets anything any more, and all models go."""
        self._is_closing = True
        refused = self._refuse(list(self._line), _shutting_down())
        return [*refused, *(self._close(seat) for seat in self.seats if seat.stage is not Stage.UNLOADING)]

    def _objection(self, key: ModelKey, need: Need, *, ahead: bool) -> Mlxk2Error | None:
        """Why a new request is refused without a wait."""
        if self._is_closing:
            return _shutting_down()
        if len(self._waiting_for(key)) >= self._limits.queue:
            return Overloaded(f"{self._limits.queue} requests already wait for '{need.name}'; try again later")
        return self._seats.impossible(key, need, ahead=ahead) if self._seats.get(key) is None else None

    def _waiting_for(self, key: ModelKey) -> list[WantId]:
        return [want for want, waiting in self._line.items() if waiting.key == key]

    def _awaited(self, besides: ModelKey) -> int:
        """Bytes that the models need at least for which somebody waits, and which have no place yet."""
        homeless = {waiting.key: waiting.need.least for waiting in self._line.values() if waiting.key != besides}
        return sum(least for key, least in homeless.items() if self._seats.get(key) is None)

    def _is_late(self, waiting: _Waiting, now: float) -> bool:
        """Who waits for a model that is being loaded is not: loading has an end of its own."""
        seat = self._seats.get(waiting.key)
        loading = seat is not None and seat.stage is Stage.LOADING
        return not loading and now - waiting.since >= self._limits.patience

    def _advance(self, now: float) -> list[Action]:
        """What follows from the state as it is now."""
        actions = self._serve_line(now) if self._line else []
        actions += [self._close(seat) for seat in self.seats if self._has_expired(seat, now)]
        return [*actions, *(self._close(seat) for seat in self._seats.surplus())]

    def _has_expired(self, seat: Seat, now: float) -> bool:
        expires = self.expires(seat)
        return expires is not None and now >= expires

    def _serve_line(self, now: float) -> list[Action]:
        """Go through the line in order: who can have a model has it, and the first who cannot dooms others."""
        actions: list[Action] = []
        doomed: frozenset[ModelKey] | None = None
        for want, waiting in list(self._line.items()):
            seat = self._seats.get(waiting.key)
            if seat is not None and seat.stage is Stage.LOADED:
                if doomed is None or waiting.key not in doomed:
                    actions.append(self._grant(want, waiting, seat, now))
            elif doomed is None and (seat is None or seat.stage is Stage.UNLOADING):
                more, doomed = self._make_room(want, waiting, now)
                actions += more
        self._doomed = doomed or frozenset()
        return actions

    def _make_room(
        self, want: WantId, waiting: _Waiting, now: float
    ) -> tuple[list[Action], frozenset[ModelKey] | None]:
        """For the first who has no model: load it, refuse it, or (not None) say who has to go before."""
        error = self._seats.impossible(waiting.key, waiting.need, ahead=waiting.ahead)
        if error is not None:
            return self._refuse([want], error), None
        if self._seats.get(waiting.key) is None and self._seats.has_room(waiting.need):
            return [self._load(waiting, now)], None
        victims = self._seats.victims(waiting.key, waiting.need, self._doomed, ahead=waiting.ahead) or ()
        closing: list[Action] = []
        if all(seat.is_idle for seat in victims):
            closing += [self._close(seat) for seat in victims]
        return closing, frozenset(seat.key for seat in victims)

    def _grant(self, want: WantId, waiting: _Waiting, seat: Seat, now: float) -> Grant:
        del self._line[want]
        if waiting.ahead:
            seat.ahead = seat.ahead or not seat.holders
        else:
            seat.ahead = False
            seat.holders.add(want)
            self._held[want] = seat
        self._seats.touch(seat, now)
        return Grant(want, seat.key)

    def _load(self, waiting: _Waiting, now: float) -> Load:
        granted = self._seats.share(waiting.key, waiting.need, self._awaited(waiting.key))
        self._seats.add(Seat(waiting.key, waiting.need, granted, now, waiting.ahead, waiting.key in self._pinned))
        return Load(waiting.key, granted)

    def _close(self, seat: Seat) -> Close:
        seat.stage = Stage.UNLOADING
        for want in seat.holders:
            del self._held[want]
        seat.holders.clear()
        return Close(seat.key)

    def _refuse(self, wants: Iterable[WantId], error: Mlxk2Error) -> list[Action]:
        refused: list[Action] = []
        for want in wants:
            del self._line[want]
            refused.append(Refuse(want, error))
        return refused


def _waited_too_long(name: str, seconds: float) -> Overloaded:
    return Overloaded(
        f"The request waited {seconds:.0f} s for '{name}' and was given up: the models that would have to make room for"
        " it are busy; try again later"
    )


def _shutting_down() -> Overloaded:
    return Overloaded("The server is shutting down; send the request again when it is back")
