"""Deleting: a model goes whole or not at all, a revision leaves at worst blobs that nothing uses.

A model is renamed into the trash (one atomic step) and then deleted there; a kill in between leaves only trash, which
the next deletion sweeps. A revision goes ref first, then snapshot (by the same rename), then blobs.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.ports.cache import Removal
from mlxk2.ports.errors import AccessProblem


def remove(root: str, removal: Removal) -> None:
    """Carry out a plan. Raises AccessProblem when the file system refuses."""
    model = os.path.join(root, removal.folder)
    if os.path.islink(model):
        raise AccessProblem(f"{removal.folder} is a link to another place; remove the link yourself")
    names = None if removal.whole_model else removal.blobs
    payloads = [payload for payload, _ in shared_payloads(root, removal.folder, names)]
    trash = os.path.join(root, layout.LOCKS, layout.TRASH)
    own_trash = os.path.join(trash, secrets.token_hex(8))
    with lock(f"{trash}.lock"):
        os.makedirs(own_trash)
        if removal.whole_model:
            os.rename(model, os.path.join(own_trash, removal.folder))
            _discard(os.path.join(root, layout.LOCKS, removal.folder), os.path.join(own_trash, "locks"))
        else:
            _remove_revisions(model, removal, own_trash)
        shutil.rmtree(trash, ignore_errors=True)
    if shared_store.exists(root):
        shared_store.release(root, payloads)
    if os.path.lexists(own_trash):
        raise AccessProblem(
            f"{removal.folder} is out of the cache, but not all of its files could be deleted;"
            f" delete {layout.LOCKS}/{layout.TRASH} in the cache folder"
        )


def _remove_revisions(model: str, removal: Removal, own_trash: str) -> None:
    for ref in removal.refs:
        _unlink(os.path.join(model, layout.REFS, ref))
    for commit in removal.commits:
        _discard(os.path.join(model, layout.SNAPSHOTS, commit), os.path.join(own_trash, commit))
        _discard(os.path.join(model, layout.NO_EXIST, commit), os.path.join(own_trash, f"{commit}.no_exist"))
        _discard(os.path.join(model, layout.TREES, f"{commit}.json"), os.path.join(own_trash, f"{commit}.json"))
    for blob in removal.blobs:
        _unlink(os.path.join(model, layout.BLOBS, blob))


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _discard(path: str, place: str) -> None:
    if os.path.lexists(path):
        os.rename(path, place)


def shared_payloads(root: str, folder: str, names: Iterable[str] | None) -> list[tuple[str, str]]:
    """(payload path, blob path relative to the root) of those blobs (None: all) that live in the shared store."""
    if not shared_store.exists(root):
        return []
    blobs = os.path.join(root, folder, layout.BLOBS)
    try:
        chosen = sorted(os.listdir(blobs) if names is None else names)
    except OSError:
        return []
    found = []
    for name in chosen:
        payload = shared_store.target(root, os.path.join(blobs, name))
        if payload is not None:
            found.append((payload, f"{folder}/{layout.BLOBS}/{name}"))
    return found


def freed_bytes(root: str, folder: str, names: Iterable[str] | None) -> int:
    """Bytes that deleting these blobs (None: everything in the folder) gives back to the disk."""
    chosen = None if names is None else list(names)
    shared = shared_payloads(root, folder, chosen)
    leaving = {blob for _, blob in shared}
    freed = sum(
        os.stat(payload).st_size
        for payload in {payload for payload, _ in shared}
        if shared_store.is_payload(payload) and shared_store.is_last_user(root, payload, leaving)
    )
    model = os.path.join(root, folder)
    if chosen is None:
        return freed + sum(
            _plain_size(os.path.join(where, name)) for where, _, files in os.walk(model) for name in files
        )
    return freed + sum(_plain_size(os.path.join(model, layout.BLOBS, name)) for name in chosen)


def _plain_size(path: str) -> int:
    try:
        return 0 if os.path.islink(path) else os.lstat(path).st_size
    except OSError:
        return 0
