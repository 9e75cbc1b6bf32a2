"""The trash: what is deleted is renamed into it first, so that a kill in between leaves nothing but trash."""

import os
import secrets

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.trees import delete_tree, tree_bytes, walk


def trash_of(root: str) -> str:
    return os.path.join(root, layout.LOCKS, layout.TRASH)


def discard(path: str, folder: str) -> list[tuple[str, str]]:
    """Move into a folder of the trash; returns where from and where to, or nothing when it is not there."""
    place = os.path.join(folder, os.path.basename(path))
    if os.path.lexists(place):
        place = f"{place}.{secrets.token_hex(4)}"
    try:
        os.rename(path, place)
    except FileNotFoundError:
        return []
    return [(path, place)]


def empty(root: str, place: str) -> int:
    """Delete what is in this folder of the trash; returns the bytes that the disk regains.

    Payloads of the shared store that nobody else uses go first: their links show the way.
    """
    freed = 0
    if shared_store.exists(root):
        links = (path for path in walk(place, unreadable=None) if os.path.islink(path))
        payloads = {shared_store.target_of_moved(root, link) for link in links}
        freed = shared_store.release(root, (payload for payload in payloads if payload))
    before = tree_bytes(place)
    delete_tree(place)
    return freed + before - tree_bytes(place)
