"""`prune` carried out: every leftover is looked at again under its locks, moved into the trash, and deleted there.

A blob goes under huggingface_hub's own lock for it, and when no snapshot links to it at that moment. huggingface_hub
looks whether a blob is there before it takes the lock, and makes a link to it afterwards without looking again; so the
links are read once more when the blob is out of its place, and what one of them means by then is put back.
"""

import os
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mlxk2.adapters.hfcache import shared_store
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.sweeping_model import sweep_model
from mlxk2.adapters.hfcache.trash import empty, trash_of
from mlxk2.ports.pruning import Kind, Leftover, Outcome, Swept

_OF_MODELS = frozenset({Kind.REVISION, Kind.BLOB, Kind.PARTIAL, Kind.LOCK, Kind.FOLDER})
_NOT_ALL = "it is out of the cache, but not all of its files could be deleted"


def sweep(root: str, listings: Listings, leftovers: Sequence[Leftover]) -> Swept:
    """Take the leftovers away, as far as nobody uses them by now."""
    trash = trash_of(root)
    own = os.path.join(trash, secrets.token_hex(8))
    with lock(f"{trash}.lock"):
        os.makedirs(own)
        outcomes = list(_models(root, listings, leftovers, own))
        freed = empty(root, own)
        if os.path.lexists(own):
            outcomes = [one if one.kept else one._replace(kept=_NOT_ALL, refused=True) for one in outcomes]
        for leftover in leftovers:
            if leftover.kind is Kind.TRASH:
                place = os.path.join(trash, leftover.name)
                freed += empty(root, place)
                outcomes.append(_gone(leftover, place))
    paths = {leftover.name: leftover for leftover in leftovers if leftover.kind is Kind.PAYLOAD}
    for name, leftover in paths.items():
        path = shared_store.path_of(root, name)
        freed += shared_store.release(root, [path])
        outcomes.append(_gone(leftover, path))
    return Swept(tuple(outcomes), freed)


def _models(root: str, listings: Listings, leftovers: Sequence[Leftover], own: str) -> Iterator[Outcome]:
    of_models: dict[str, list[Leftover]] = defaultdict(list)
    for leftover in leftovers:
        if leftover.folder is not None and leftover.kind in _OF_MODELS:
            of_models[leftover.folder].append(leftover)
        elif leftover.folder is not None:
            listings.forget(leftover.folder, (leftover.name,))
            yield Outcome(leftover)
    for folder, group in of_models.items():
        for outcome in sweep_model(root, folder, group, os.path.join(own, folder)):
            if outcome.kept is None and outcome.leftover.kind is Kind.REVISION:
                listings.forget(folder, (outcome.leftover.name,))
            yield outcome


def _gone(leftover: Leftover, path: str) -> Outcome:
    if not os.path.lexists(path):
        return Outcome(leftover)
    return Outcome(leftover, "it is used by now" if leftover.kind is Kind.PAYLOAD else _NOT_ALL, refused=True)
