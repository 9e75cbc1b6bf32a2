"""Facts for `prune` about a whole cache: its models, the store that they share, trash, and locks."""

import os
from collections.abc import Iterator

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.locks import is_held
from mlxk2.adapters.hfcache.model_contents import entries_of, read_model
from mlxk2.adapters.hfcache.trees import tree_bytes
from mlxk2.ports.pruning import CacheContents, LockFile, Payload, TrashEntry


def read_contents(root: str) -> CacheContents:
    """Everything but our own records. Raises OSError when the cache's own folder cannot be read."""
    shared = shared_store.exists(root)
    locks = os.path.join(root, layout.LOCKS)
    there = set(_model_folders(root))
    lock_folders = set() if os.path.islink(locks) else set(_model_folders(locks))
    models = tuple(read_model(root, folder, shared=shared) for folder in sorted(there | lock_folders))
    payloads = tuple(_payloads(root)) if shared else ()
    payload_locks = tuple(_payload_locks(root)) if shared else ()
    return CacheContents(models, payloads, tuple(_trash(root)), payload_locks=payload_locks)


def _model_folders(place: str) -> Iterator[str]:
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if layout.MODEL_FOLDER.fullmatch(entry.name) and (entry.is_symlink() or entry.is_dir()):
                    yield entry.name
    except FileNotFoundError:
        return


def _payloads(root: str) -> Iterator[Payload]:
    for path in shared_store.payloads(root):
        users = shared_store.users(root, path)
        info = os.lstat(path)
        known = None if users is None else frozenset(_short(user) for user in users)
        yield Payload(os.path.basename(path), info.st_size, info.st_mtime, known)


def _payload_locks(root: str) -> Iterator[LockFile]:
    """Locks of payloads that are gone."""
    for name in shared_store.lock_guards(root):
        path = shared_store.path_of(root, name)
        if not os.path.lexists(path) and not os.path.lexists(f"{path}.refs"):
            lock = f"{path}.lock"
            yield LockFile(name, os.lstat(lock).st_mtime, is_held(lock))


def _short(user: str) -> str:
    """`<folder>/blobs/<name>` without its middle."""
    folder, _, name = user.partition(f"/{layout.BLOBS}/")
    return f"{folder}/{name}"


def _trash(root: str) -> Iterator[TrashEntry]:
    trash = os.path.join(root, layout.LOCKS, layout.TRASH)
    if os.path.islink(trash) or os.path.islink(os.path.dirname(trash)):
        return
    for entry in entries_of(trash):
        modified = entry.stat(follow_symlinks=False).st_mtime
        yield TrashEntry(entry.name, tree_bytes(entry.path), modified)
