"""Asking the Hub about a revision: what it holds is remembered for what of it is in the cache."""

from mlxk2.domain.names import folder_of
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.hub import Hub, HubModel, Notice


def look_up(hub: Hub, cache: ModelCache, name: str, revision: str, notice: Notice) -> HubModel:
    """`Hub.model`, after which health knows every file of a snapshot that is here. Raises what that raises."""
    model = hub.model(name, revision, notice)
    cache.record_listing(folder_of(model.name), model.commit, model.files)
    return model
