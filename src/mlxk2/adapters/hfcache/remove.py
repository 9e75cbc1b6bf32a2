"""Deleting: a model goes whole or not at all, a revision leaves at worst blobs that nothing uses.

Everything that goes is renamed into the trash (one atomic step for a whole model) and deleted there; a kill in between
leaves only trash, which the next deletion sweeps, payloads of the shared store included. A revision goes ref first,
then snapshot, then blobs. On a disk that has no room even for the trash, all of it is deleted in place, in that order.
What a plan says is checked once more against the disk: a blob that another snapshot links to stays, and nothing is
changed when that cannot be told.
"""

import contextlib
import os
import secrets

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.access import NO_ROOM
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.trash import discard, empty, trash_of
from mlxk2.adapters.hfcache.trees import delete_tree, own_bytes, walk
from mlxk2.ports.cache import Removal
from mlxk2.ports.errors import AccessProblem, ModelNotFound


def remove(root: str, removal: Removal) -> None:
    """Carry out a plan. Raises AccessProblem when the file system refuses, ModelNotFound when nothing is there."""
    refuse_links(root, removal.folder)
    try:
        _remove_by_trash(root, removal)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _remove_in_place(root, removal)


def _remove_by_trash(root: str, removal: Removal) -> None:
    model = os.path.join(root, removal.folder)
    trash = trash_of(root)
    with lock(f"{trash}.lock"):
        own_trash = os.path.join(trash, secrets.token_hex(8), removal.folder)
        try:
            _move_away(root, removal, own_trash)
        except FileNotFoundError as error:
            if os.path.lexists(model):
                raise
            raise ModelNotFound(f"{removal.folder} was deleted by another program") from error
        empty(root, trash)
    if os.path.lexists(own_trash):
        raise AccessProblem(
            f"{removal.folder} is out of the cache, but not all of its files could be deleted;"
            f" delete {layout.LOCKS}/{layout.TRASH} in the cache folder"
        )


def _move_away(root: str, removal: Removal, own_trash: str) -> None:
    model = os.path.join(root, removal.folder)
    if not removal.whole_model:
        _remove_revisions(model, removal, own_trash)
        return
    os.makedirs(os.path.dirname(own_trash))
    os.rename(model, own_trash)
    discard(os.path.join(root, layout.LOCKS, removal.folder), os.path.dirname(own_trash))


def _remove_revisions(model: str, removal: Removal, own_trash: str) -> None:
    blobs = set(removal.blobs) - _links_of_others(model, removal.commits)
    for part in (layout.REFS, layout.SNAPSHOTS, layout.BLOBS):
        path = os.path.join(model, part)
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):
            raise AccessProblem(f"{removal.folder}/{part} may not be written; nothing was deleted")
    os.makedirs(os.path.join(own_trash, layout.BLOBS))
    moved: list[tuple[str, str]] = []
    try:
        for path in (os.path.join(model, layout.REFS, ref) for ref in removal.refs):
            moved += discard(path, own_trash)
        for commit in removal.commits:
            moved += discard(os.path.join(model, layout.SNAPSHOTS, commit), own_trash)
    except OSError:
        for path, place in reversed(moved):
            os.rename(place, path)
        raise
    for commit in removal.commits:
        for path in _records_of(model, commit):
            with contextlib.suppress(OSError):  # without its snapshot it is read by nobody
                discard(path, own_trash)
    for blob in sorted(blobs):
        discard(os.path.join(model, layout.BLOBS, blob), os.path.join(own_trash, layout.BLOBS))


def _remove_in_place(root: str, removal: Removal) -> None:
    """A kill in between leaves a model that is visibly unfinished, or blobs that nothing uses."""
    model = os.path.join(root, removal.folder)
    blobs = os.path.join(model, layout.BLOBS)
    if removal.whole_model:
        going = list(walk(blobs, unreadable=None)) if os.path.isdir(blobs) else []
        places = [os.path.join(model, part) for part in (layout.REFS, layout.SNAPSHOTS, "")]
        places.append(os.path.join(root, layout.LOCKS, removal.folder))
    else:
        going = [os.path.join(blobs, blob) for blob in set(removal.blobs) - _links_of_others(model, removal.commits)]
        places = [os.path.join(model, layout.REFS, ref) for ref in removal.refs]
        places += [os.path.join(model, layout.SNAPSHOTS, commit) for commit in removal.commits]
        places += [path for commit in removal.commits for path in _records_of(model, commit)]
        places += going
    payloads = {shared_store.target(root, blob) for blob in going} if shared_store.exists(root) else set()
    for place in places:
        delete_tree(place)
    shared_store.release(root, (payload for payload in payloads if payload))
    empty(root, trash_of(root))
    if any(os.path.lexists(place) for place in places):
        raise AccessProblem(f"Not all files of {removal.folder} could be deleted; check their permissions")


def _records_of(model: str, commit: str) -> tuple[str, str]:
    return os.path.join(model, layout.NO_EXIST, commit), os.path.join(model, layout.TREES, f"{commit}.json")


def _links_of_others(model: str, commits: tuple[str, ...]) -> set[str]:
    """Blob names that any other snapshot folder links to.

    Raises OSError when one cannot be read to the end, AccessProblem when one has files of a revision that goes.
    """
    snapshots = os.path.join(model, layout.SNAPSHOTS)
    going = tuple(os.path.join(snapshots, commit) for commit in commits)
    names: set[str] = set()
    for other in os.listdir(snapshots):
        if other in commits:
            continue
        for path in walk(os.path.join(snapshots, other)):
            if not os.path.islink(path):
                continue
            goal = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
            if any(goal == folder or goal.startswith(f"{folder}/") for folder in going):
                raise AccessProblem(f"Revision {other[:12]} uses files of this one through links; nothing was deleted")
            names.add(os.path.basename(goal))
    return names


def freed_bytes(root: str, removal: Removal) -> int:
    """Bytes that carrying out the plan gives back to the disk; a file that keeps a name elsewhere counts none."""
    model = os.path.join(root, removal.folder)
    blobs = os.path.join(model, layout.BLOBS)
    if removal.whole_model:
        paths = set(walk(model, unreadable=None))
    else:
        paths = {os.path.join(blobs, blob) for blob in removal.blobs}
        paths |= {os.path.join(model, layout.REFS, ref) for ref in removal.refs}
        for commit in removal.commits:
            for place in (os.path.join(model, layout.SNAPSHOTS, commit), *_records_of(model, commit)):
                paths.update(walk(place, unreadable=None) if os.path.isdir(place) else [place])
    return own_bytes(paths) + _shared_bytes(root, removal.folder, {path for path in paths if _parent_is(path, blobs)})


def _shared_bytes(root: str, folder: str, blobs: set[str]) -> int:
    """Payloads of the shared store that no other model uses."""
    if not shared_store.exists(root):
        return 0
    payloads = {payload for blob in blobs if (payload := shared_store.target(root, blob))}
    leaving = {f"{folder}/{layout.BLOBS}/{os.path.basename(blob)}" for blob in blobs}
    links = shared_store.blob_links(root) if payloads else None
    return own_bytes({payload for payload in payloads if shared_store.is_last_user(root, payload, leaving, links)})


def _parent_is(path: str, folder: str) -> bool:
    return os.path.dirname(path) == folder
