"""Facts for `prune` about a whole cache: its models, the store that they share, trash, and locks."""

import os
from collections.abc import Iterable, Iterator, Mapping

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.locks import is_held
from mlxk2.adapters.hfcache.model_contents import entries_of, read_model
from mlxk2.adapters.hfcache.trees import sole_bytes, tree_bytes, walk
from mlxk2.ports.pruning import CacheContents, LockFile, ModelContents, Payload, TrashEntry


def read_contents(root: str) -> CacheContents:
    """Everything but our own records. Raises OSError when the cache's own folder cannot be read."""
    shared = shared_store.exists(root)
    locks = os.path.join(root, layout.LOCKS)
    there = set(_model_folders(root))
    lock_folders = set() if os.path.islink(locks) else set(_model_folders(locks))
    models = [read_model(root, folder, shared=shared) for folder in sorted(there | lock_folders)]
    used_by = _linked_from_others(root, [*(one.folder for one in models if one.problem or one.other), *_others(root)])
    models = [_kept_for(model, used_by) for model in models]
    payloads = tuple(_payloads(root)) if shared else ()
    payload_locks = tuple(_payload_locks(root)) if shared else ()
    return CacheContents(tuple(models), payloads, tuple(_trash(root)), payload_locks=payload_locks)


def _model_folders(place: str) -> Iterator[str]:
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if layout.MODEL_FOLDER.fullmatch(entry.name) and (entry.is_symlink() or entry.is_dir()):
                    yield entry.name
    except FileNotFoundError:
        return


def _others(root: str) -> Iterator[str]:
    """Folders of data sets and whatever else is beside the models."""
    for entry in entries_of(root):
        is_known = entry.name in (layout.LOCKS, layout.BLOBS) or layout.MODEL_FOLDER.fullmatch(entry.name)
        if not is_known and entry.is_dir(follow_symlinks=False):
            yield entry.name


def _linked_from_others(root: str, folders: Iterable[str]) -> dict[str, str]:
    """Folders of the cache that links in one of these others lead into, with that other.

    Tools that save space by links make such; huggingface_hub does not, so models that look as it makes them have none.
    """
    found: dict[str, str] = {}
    roots = {root, os.path.realpath(root)}
    for folder in folders:
        place = os.path.join(root, folder)
        for path in walk(place, unreadable=None):
            if os.path.islink(path):
                found.update(dict.fromkeys(_folders_behind(path, place, roots) - {folder}, folder))
    return found


def _folders_behind(link: str, place: str, roots: set[str]) -> set[str]:
    """Where in the cache a link leads that leaves its own folder: by its text, and at the end of all hops."""
    try:
        goal = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    except OSError:
        return set()
    if goal.startswith(f"{place}/"):
        return set()
    goals = (goal, os.path.realpath(link))
    return {goal[len(root) + 1 :].split("/")[0] for goal in goals for root in roots if goal.startswith(f"{root}/")}


def _kept_for(model: ModelContents, used_by: Mapping[str, str]) -> ModelContents:
    user = used_by.get(model.folder)
    return model._replace(problem=f"{user} has links to its files") if user and not model.problem else model


def _payloads(root: str) -> Iterator[Payload]:
    links = shared_store.blob_links(root)
    for path in shared_store.payloads(root):
        users = shared_store.users(root, path, links)
        info = os.lstat(path)
        known = None if users is None else frozenset(_short(user) for user in users)
        yield Payload(os.path.basename(path), sole_bytes(info), info.st_mtime, known)


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
