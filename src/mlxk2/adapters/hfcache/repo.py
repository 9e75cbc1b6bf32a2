"""Facts of one model folder: refs, snapshots, blobs, leftovers of downloads, held locks.

Nothing here raises for what is broken inside a folder: a model that cannot be read is reported with its problem.
"""

import contextlib
import os
from collections.abc import Iterator

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.guard import PARTS
from mlxk2.adapters.hfcache.locks import held_locks
from mlxk2.adapters.reading import read_file
from mlxk2.ports.cache import BlobFact, LinkState, PartialFile, RepoFacts, SnapshotEntry


def read_repo(root: str, folder: str, *, shared: bool) -> RepoFacts:
    """Facts of the folder; `shared` tells whether the cache has a shared Xet store."""
    facts = _read_once(root, folder, shared=shared)
    read_well = facts.problem is None and facts.snapshots
    if read_well or not os.path.isdir(os.path.join(root, folder, layout.SNAPSHOTS)):
        return facts
    return _read_once(root, folder, shared=shared)  # a pull or a deletion may have passed by in between


def _read_once(root: str, folder: str, *, shared: bool) -> RepoFacts:
    path = os.path.join(root, folder)
    is_link = os.path.islink(path)
    try:
        with os.scandir(path) as entries:
            names = {entry.name: entry.is_symlink() for entry in entries}
    except OSError as error:
        unreadable = f"the folder cannot be read: {_reason(error)}"
        is_gone = not os.path.lexists(path)
        modified = _mtime(path)
        return RepoFacts(folder, {}, (), {}, modified=modified, is_link=is_link, problem=unreadable, is_gone=is_gone)
    if part := next((part for part in PARTS if names.get(part)), None):
        leaving = f"{part} is a link that leaves the model's folder"
        return RepoFacts(folder, {}, (), {}, modified=_mtime(path), is_link=is_link, problem=leaving)
    whole = _whole_blobs(os.path.join(path, layout.BLOBS))
    held = held_locks(root, folder, besides=whole)  # before the rest: a pull that ends meanwhile is still seen as one
    problem: str | None = None
    refs: dict[str, str] = {}
    snapshots: tuple[SnapshotEntry, ...] = ()
    blobs: dict[str, BlobFact] = {}
    partial_names: list[tuple[str, int]] = []
    newest = 0.0
    try:
        refs = dict(_refs(os.path.join(path, layout.REFS))) if layout.REFS in names else {}
        snapshots = _snapshots(os.path.join(path, layout.SNAPSHOTS)) if layout.SNAPSHOTS in names else ()
        if layout.BLOBS in names:
            newest = _read_blobs(root if shared else None, os.path.join(path, layout.BLOBS), blobs, partial_names)
    except OSError as error:
        problem = f"the folder cannot be read: {_reason(error)}"
    if partial_names or not snapshots:
        held |= held_locks(root, folder, besides=whole)  # and one that began meanwhile
    return RepoFacts(
        folder=folder,
        refs=refs,
        snapshots=snapshots,
        blobs=blobs,
        partials=tuple(_partials(partial_names, blobs)),
        held_locks=held,
        modified=newest or max((entry.modified for entry in snapshots), default=0.0) or _mtime(path),
        is_link=is_link,
        problem=problem,
    )


def _whole_blobs(path: str) -> set[str]:
    """Names of those that no download is about to replace."""
    try:
        names = os.listdir(path)
    except OSError:
        return set()
    coming = {match["etag"] for name in names if (match := layout.PARTIAL.fullmatch(name))}
    return {name for name in names if name not in coming}


def _refs(path: str) -> Iterator[tuple[str, str]]:
    waiting = [(path, "")]
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", read_file(entry.path, 256).decode("ascii", "replace").strip()


def _snapshots(path: str) -> tuple[SnapshotEntry, ...]:
    with os.scandir(path) as entries:
        found = [
            SnapshotEntry(entry.name, entry.stat(follow_symlinks=False).st_mtime)
            for entry in entries
            if layout.COMMIT.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return tuple(sorted(found, key=lambda entry: entry.commit))


def _read_blobs(
    shared_root: str | None, path: str, blobs: dict[str, BlobFact], partials: list[tuple[str, int]]
) -> float:
    """Fill `blobs` and `partials`; returns the newest modification time among the blobs."""
    newest = 0.0
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(".incomplete"):
                partials.append((name, _size(entry)))
                continue
            if entry.is_file(follow_symlinks=False):
                fact, modified = _plain_blob(entry)
            else:
                fact, modified = _other_blob(shared_root, entry)
            blobs[name] = fact
            if modified > newest:
                newest = modified
    return newest


def _plain_blob(entry: os.DirEntry[str]) -> tuple[BlobFact, float]:
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        return BlobFact(0, LinkState.UNREADABLE), 0.0
    return BlobFact(info.st_size, LinkState.FILE, None, info.st_atime), info.st_mtime


def _other_blob(shared_root: str | None, entry: os.DirEntry[str]) -> tuple[BlobFact, float]:
    """A link, which may only lead into the shared store; anything else is no blob."""
    if not entry.is_symlink():
        return BlobFact(0, LinkState.NOT_A_FILE), 0.0
    payload = None if shared_root is None else shared_store.target(shared_root, entry.path)
    if payload is None:
        return BlobFact(0, LinkState.OUTSIDE), 0.0
    if not shared_store.is_payload(payload):
        return BlobFact(0, LinkState.DANGLING), 0.0
    try:
        info = entry.stat()
    except OSError:
        return BlobFact(0, LinkState.UNREADABLE), 0.0
    return BlobFact(info.st_size, LinkState.FILE, os.path.basename(payload), info.st_atime), info.st_mtime


def _partials(names: list[tuple[str, int]], blobs: dict[str, BlobFact]) -> Iterator[PartialFile]:
    for name, size in sorted(names):
        match = layout.PARTIAL.fullmatch(name)
        if match:
            yield PartialFile(match["etag"], size, finished=match["etag"] in blobs)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _mtime(path: str) -> float:
    """Of what a link leads to, or of a link that leads nowhere."""
    for look in (os.stat, os.lstat):
        with contextlib.suppress(OSError):
            return look(path).st_mtime
    return 0.0


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
