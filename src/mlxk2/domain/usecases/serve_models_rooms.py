"""A model with a place in a server's memory, or that waits for one: what it is, its engine, numbers, guests."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mlxk2.domain.seating import ModelKey, Seat, Stage
from mlxk2.domain.usecases.serve_models_finding import Found
from mlxk2.domain.usecases.serve_models_records import ModelStatus, State, Tell, Told
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.engine import Engine

WAITING = "waiting until other models make room"
STARTING = "starting the model's process"


@dataclass(slots=True, eq=False)
class Room:
    """`stage` says in a few words what goes on while the model is loaded, and `abort` ends that.

    It changes under the lock of whoever owns it.
    """

    found: Found
    stage: str = WAITING
    engine: Engine | None = None
    gate: RequestGate | None = None
    abort: Callable[[], None] | None = None
    is_unwanted: bool = False
    is_closing: bool = False


@dataclass(slots=True, eq=False)
class Wish:
    """A want that has not ended; `loaded` is told where the model is only to be loaded. `key`: once it is known."""

    tell: Tell
    loaded: Callable[[], None] | None = None
    key: ModelKey | None = None

    def say(self, news: Told) -> None:
        with suppress(Exception):  # a defect of whoever listens harms nobody else
            self.tell(news)

    def say_loaded(self) -> None:
        with suppress(Exception):
            if self.loaded is not None:
                self.loaded()


def status_of(room: Room, seat: Seat, waiting: int, expires: float | None, now: float) -> ModelStatus:
    """The numbers that the pool knows; `waiting` is how many wait for the model itself. Call it with the lock held."""
    state: State = seat.stage.value
    return ModelStatus(
        offer=room.found.offer(state),
        stage=room.stage if seat.stage is Stage.LOADING else state,
        busy=len(seat.holders),
        waiting=waiting,
        bytes=seat.size,
        idle_seconds=max(now - seat.idle_since, 0.0) if seat.is_idle else None,
        expires_in=None if expires is None else max(expires - now, 0.0),
        pinned=seat.pinned,
        stats=None,
        restarts=0,
    )


def with_engine(status: ModelStatus, engine: Engine | None, gate: RequestGate | None) -> ModelStatus:
    """With what the engine says of itself, and those who wait before it. Call it without the lock."""
    if engine is None or gate is None:
        return status
    stats = engine.stats()
    return replace(status, waiting=status.waiting + gate.waiting, stats=stats, restarts=stats.restarts)
