"""`/v1/models`: what can be asked for, as OpenAI lists models, with what clients of local servers want to know."""

from typing import Literal

from msgspec import Struct

from mlxk2.domain.usecases.serve_models_records import Offer, State

_LOCAL = "local"


class ModelReply(Struct, frozen=True, kw_only=True):
    """`context_length` in tokens, null where it is not known. `owned_by` is the part of the name before its slash."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    model_type: str
    capabilities: list[str]
    context_length: int | None
    state: State


class ModelList(Struct, frozen=True):
    data: list[ModelReply]
    object: Literal["list"] = "list"


def model_reply(offer: Offer) -> ModelReply:
    owner, slash, _ = offer.name.partition("/")
    return ModelReply(
        id=offer.name,
        created=offer.created,
        owned_by=owner if slash else _LOCAL,
        model_type=offer.model_type,
        capabilities=list(offer.capabilities),
        context_length=offer.context_length,
        state=offer.state,
    )
