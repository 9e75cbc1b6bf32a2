"""Deleting: a model goes whole or not at all, a revision leaves at worst blobs that nothing uses.

Everything that goes is renamed into the trash (one atomic step for a whole model) and deleted there; a kill in between
leaves only trash, which the next deletion sweeps, payloads of the shared store included. A revision goes ref first,
then snapshot, then blobs. What a plan says is checked once more against the disk: a blob that another snapshot links to
stays, and nothing is changed when that cannot be told.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.ports.cache import Removal
from mlxk2.ports.errors import AccessProblem


def remove(root: str, removal: Removal) -> None:
    """Carry out a plan. Raises AccessProblem when the file system refuses."""
    refuse_links(root, removal.folder)
    model = os.path.join(root, removal.folder)
    trash = os.path.join(root, layout.LOCKS, layout.TRASH)
    with lock(f"{trash}.lock"):
        own_trash = os.path.join(trash, secrets.token_hex(8), removal.folder)
        if removal.whole_model:
            os.makedirs(os.path.dirname(own_trash))
            os.rename(model, own_trash)
            _discard(os.path.join(root, layout.LOCKS, removal.folder), f"{own_trash}.locks")
        else:
            _remove_revisions(model, removal, own_trash)
        _sweep(root, trash)
    if os.path.lexists(own_trash):
        raise AccessProblem(
            f"{removal.folder} is out of the cache, but not all of its files could be deleted;"
            f" delete {layout.LOCKS}/{layout.TRASH} in the cache folder"
        )


def _remove_revisions(model: str, removal: Removal, own_trash: str) -> None:
    blobs = set(removal.blobs) - _links_of_others(model, removal.commits)
    for part in (layout.REFS, layout.SNAPSHOTS, layout.BLOBS):
        path = os.path.join(model, part)
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
            raise AccessProblem(f"{removal.folder}/{part} may not be written; nothing was deleted")
    os.makedirs(os.path.join(own_trash, layout.BLOBS))
    for ref in removal.refs:
        _discard(os.path.join(model, layout.REFS, ref), os.path.join(own_trash, secrets.token_hex(4)))
    for commit in removal.commits:
        for path in _places_of(model, commit):
            _discard(path, os.path.join(own_trash, secrets.token_hex(4)))
    for blob in sorted(blobs):
        _discard(os.path.join(model, layout.BLOBS, blob), os.path.join(own_trash, layout.BLOBS, blob))


def _places_of(model: str, commit: str) -> tuple[str, ...]:
    return (
        os.path.join(model, layout.SNAPSHOTS, commit),
        os.path.join(model, layout.NO_EXIST, commit),
        os.path.join(model, layout.TREES, f"{commit}.json"),
    )


def _links_of_others(model: str, commits: tuple[str, ...]) -> set[str]:
    """Blob names that any other snapshot folder links to. Raises OSError when one cannot be read to the end."""
    snapshots = os.path.join(model, layout.SNAPSHOTS)
    names: set[str] = set()
    for other in os.listdir(snapshots):
        if other not in commits:
            for folder, _, files in os.walk(os.path.join(snapshots, other), onerror=_raise):
                paths = (os.path.join(folder, file) for file in files)
                names.update(os.path.basename(os.readlink(path)) for path in paths if os.path.islink(path))
    return names


def _raise(error: OSError) -> None:
    raise error


def _discard(path: str, place: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, place)


def _sweep(root: str, trash: str) -> None:
    """Empty the trash, this deletion's and what interrupted ones left. Payloads first: their links show the way."""
    if shared_store.exists(root):
        links = (path for path in _files_below(trash) if os.path.islink(path))
        payloads = {shared_store.target_of_moved(root, link) for link in links}
        shared_store.release(root, (payload for payload in payloads if payload))
    shutil.rmtree(trash, ignore_errors=True)


def freed_bytes(root: str, removal: Removal) -> int:
    """Bytes that carrying out the plan gives back to the disk; a file with several names counts once."""
    model = os.path.join(root, removal.folder)
    blobs = os.path.join(model, layout.BLOBS)
    if removal.whole_model:
        paths = set(_files_below(model))
    else:
        paths = {os.path.join(blobs, blob) for blob in removal.blobs}
        paths |= {os.path.join(model, layout.REFS, ref) for ref in removal.refs}
        for commit in removal.commits:
            for place in _places_of(model, commit):
                paths.update(_files_below(place) if os.path.isdir(place) else [place])
    return _own_bytes(paths) + _shared_bytes(root, removal.folder, {path for path in paths if _parent_is(path, blobs)})


def _own_bytes(paths: set[str]) -> int:
    sizes: dict[tuple[int, int], int] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            info = os.lstat(path)
            if not os.path.islink(path):
                sizes[info.st_dev, info.st_ino] = info.st_size
    return sum(sizes.values())


def _shared_bytes(root: str, folder: str, blobs: set[str]) -> int:
    """Payloads of the shared store that no other model uses."""
    if not shared_store.exists(root):
        return 0
    payloads = {payload for blob in blobs if (payload := shared_store.target(root, blob))}
    leaving = {f"{folder}/{layout.BLOBS}/{os.path.basename(blob)}" for blob in blobs}
    return sum(
        os.lstat(payload).st_size
        for payload in payloads
        if shared_store.is_payload(payload) and shared_store.is_last_user(root, payload, leaving)
    )


def _files_below(folder: str) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        yield from (os.path.join(where, name) for name in names)
        yield from (path for name in folders if os.path.islink(path := os.path.join(where, name)))


def _parent_is(path: str, folder: str) -> bool:
    return os.path.dirname(path) == folder
