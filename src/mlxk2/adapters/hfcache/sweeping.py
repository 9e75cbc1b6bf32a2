"""`prune` carried out: every leftover is looked at again under its locks, moved into the trash, and deleted there.

A blob goes under huggingface_hub's own lock for it, when no snapshot links to it at that moment. huggingface_hub looks
whether a blob is there before it waits for the lock, and makes its link afterwards without looking again. So the
links are read again and again until whoever waited has got the lock, and what one of them means is put back. On a disk
that is too full for the trash, everything is deleted where it stands.
"""

import contextlib
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from mlxk2.adapters.hfcache import shared_store
from mlxk2.adapters.hfcache.access import NO_ROOM
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.sweeping_model import ModelSweep
from mlxk2.adapters.hfcache.trash import empty, trash_of
from mlxk2.ports.pruning import Kind, Leftover, Outcome, Swept

_NOT_ALL = "it is out of the cache, but not all of its files could be deleted"
_USED = "a model uses it by now"
_PAUSE = 0.25
"""Seconds; who waits for a lock with filelock tries it every 0.05 seconds."""
_LOOKS = 0.02
"""Seconds between two looks, so that a link is broken no longer than that."""


def sweep(root: str, listings: Listings, leftovers: Sequence[Leftover]) -> Swept:
    """Take the leftovers away, as far as nobody uses them by now."""
    if not leftovers:
        return Swept((), 0)
    trash = trash_of(root)
    with lock(f"{trash}.lock"):
        own = _make_own(trash)
        outcomes = _of_models(root, leftovers, own)
        freed = empty(root, own) if own else sum(one.leftover.size for one in outcomes if one.kept is None)
        if own and os.path.lexists(own):
            outcomes = [one if one.kept else one._replace(kept=_NOT_ALL, refused=True) for one in outcomes]
        for leftover in _of_kind(leftovers, Kind.TRASH):
            place = os.path.join(trash, leftover.name)
            freed += empty(root, place)
            outcomes.append(_gone(leftover, place, _NOT_ALL))
        with contextlib.suppress(OSError):  # only when it is empty
            os.rmdir(trash)
    for leftover in _of_kind(leftovers, Kind.PAYLOAD):
        path = shared_store.path_of(root, leftover.name)
        freed += shared_store.release(root, [path])
        outcomes.append(_gone(leftover, path, _USED))
    for leftover in _of_kind(leftovers, Kind.LOCK):
        if leftover.folder is None:
            shared_store.delete_lock(root, leftover.guard)
            outcomes.append(_gone(leftover, f"{shared_store.path_of(root, leftover.guard)}.lock", _USED))
    freed += sum(leftover.size for leftover in _of_kind(leftovers, Kind.RECORD))
    return Swept((*outcomes, *_forget(listings, leftovers, outcomes)), freed)


def _make_own(trash: str) -> str | None:
    """A folder of this sweep's own; None on a disk that has no room even for that."""
    own = os.path.join(trash, secrets.token_hex(8))
    try:
        os.makedirs(own)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        return None
    return own


def _of_kind(leftovers: Iterable[Leftover], kind: Kind) -> list[Leftover]:
    return [leftover for leftover in leftovers if leftover.kind is kind]


def _of_models(root: str, leftovers: Sequence[Leftover], own: str | None) -> list[Outcome]:
    of_models: dict[str, list[Leftover]] = defaultdict(list)
    for leftover in leftovers:
        if leftover.folder is not None and leftover.kind is not Kind.RECORD:
            of_models[leftover.folder].append(leftover)
    sweeps = [ModelSweep(root, name, group, own) for name, group in of_models.items()]
    try:
        taken = [(sweep, sweep.take()) for sweep in sweeps]
        _watch(sweeps)
    except BaseException:  # Ctrl-C too: nobody would be there to see who still waits for a blob
        for sweep in sweeps:
            sweep.put_back_all()
        raise
    for sweep in sweeps:
        shared_store.release(root, sweep.payloads)
    return [outcome for sweep, outcomes in taken for outcome in sweep.corrected(outcomes)]


def _watch(sweeps: Sequence[ModelSweep]) -> None:
    """Put back what is linked to, until whoever waited for a blob's lock has had the time to make a link."""
    open_until = time.monotonic() + _PAUSE
    while any(sweep.has_moved_blobs for sweep in sweeps):
        is_last = time.monotonic() >= open_until
        for sweep in sweeps:
            sweep.put_back_linked()
        if is_last:
            break
        time.sleep(_LOOKS)


def _forget(listings: Listings, leftovers: Sequence[Leftover], outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Our own records of revisions that are gone."""
    gone = {one.leftover for one in outcomes if one.kept is None and one.leftover.kind is Kind.REVISION}
    for leftover in leftovers:
        if leftover.folder is not None and (leftover.kind is Kind.RECORD or leftover in gone):
            listings.forget(leftover.folder, (leftover.name,))
        if leftover.kind is Kind.RECORD:
            yield Outcome(leftover)


def _gone(leftover: Leftover, path: str, otherwise: str) -> Outcome:
    if not os.path.lexists(path):
        return Outcome(leftover)
    return Outcome(leftover, otherwise, refused=otherwise is _NOT_ALL)
