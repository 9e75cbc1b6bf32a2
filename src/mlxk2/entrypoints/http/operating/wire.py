"""What operators send and get."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mlxk2.domain.usecases.serve_models import ModelStatus, Offer, PoolStatus

Reference = Annotated[str, Meta(min_length=1, description="A model as it is listed, a short name, or name@revision")]


class LoadBody(msgspec.Struct, forbid_unknown_fields=True):
    """`wait`: answer when the model is loaded; otherwise at once."""

    model: Reference
    wait: bool = True


class UnloadBody(msgspec.Struct, forbid_unknown_fields=True):
    """`force`: also a model that is answering, whose requests end with an error."""

    model: Reference
    force: bool = False


class ModelState(msgspec.Struct, kw_only=True):
    """A model and what it does now; `bytes` is what it may take, times are in seconds."""

    model: str
    revision: str
    state: Literal["unloaded", "loading", "loaded", "unloading"]
    stage: str | None = None
    busy: int = 0
    waiting: int = 0
    bytes: int = 0
    idle_seconds: float | None = None
    expires_in: float | None = None
    pinned: bool = False
    restarts: int = 0


class Models(msgspec.Struct):
    models: list[ModelState]


class Alive(msgspec.Struct):
    version: str
    status: Literal["ok"] = "ok"


class Progress(msgspec.Struct):
    """A model that is being loaded, by now for so many seconds at most."""

    model: str
    stage: str
    seconds: float


class Readiness(msgspec.Struct):
    status: Literal["ready", "starting", "loading", "draining"]
    loading: list[Progress] = []


def state_of(status: ModelStatus) -> ModelState:
    return ModelState(
        model=status.offer.name,
        revision=status.offer.commit,
        state=status.offer.state,
        stage=status.stage or None,
        busy=status.busy,
        waiting=status.waiting,
        bytes=status.bytes,
        idle_seconds=status.idle_seconds,
        expires_in=status.expires_in,
        pinned=status.pinned,
        restarts=status.restarts,
    )


def states_of(offers: list[Offer], status: PoolStatus) -> Models:
    """What the offered models do now; one that is not in memory is unloaded."""
    known = {(model.offer.name, model.offer.commit): state_of(model) for model in status.models}
    return Models(
        [
            known.get((offer.name, offer.commit), ModelState(model=offer.name, revision=offer.commit, state="unloaded"))
            for offer in offers
        ]
    )
