"""Facts for `prune` about one model: what its folder holds, and which of it is used by what.

Links are judged by their text, never by where they end: what a snapshot's link names in the model's `blobs/` is used.
A model with a link that means anything else, or a folder that cannot be read, is reported as one whose contents nobody
can tell.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.guard import PARTS
from mlxk2.adapters.hfcache.locks import is_held
from mlxk2.adapters.hfcache.trees import on_disk, sole_bytes, tree_bytes, walk
from mlxk2.adapters.reading import read_file
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.pruning import LockFile, ModelContents, PartialPiece, RevisionUse, StoredBlob

_OF_FINDERS = frozenset({".DS_Store", ".localized"})
"""What a look into a folder leaves there on a Mac."""
_LONGEST_REF = 256
_UNFINISHED_REF = ".tmp"
"""Ends the name of a ref that huggingface_hub has not named yet."""
_ATTEMPTS = 3


class Unclear(Exception):
    """What the model uses cannot be told; the message says why."""


def read_model(root: str, folder: str, *, shared: bool) -> ModelContents:
    """One model; never raises. What others delete under the reading is no problem of it until it happens thrice."""
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            return _read_model(root, folder, shared=shared)
        except Unclear as error:
            return ModelContents(folder, problem=str(error))
        except OSError as error:
            problem = f"it cannot be read to the end: {(error.strerror or type(error).__name__).lower()}"
            if not isinstance(error, FileNotFoundError):
                break
    return ModelContents(folder, problem=problem)


def _read_model(root: str, folder: str, *, shared: bool) -> ModelContents:
    path = os.path.join(root, folder)
    lock_folder = os.path.join(root, layout.LOCKS, folder)
    for place in (path, lock_folder, *(os.path.join(path, part) for part in PARTS)):
        if os.path.islink(place):
            raise Unclear(f"{os.path.relpath(place, root)} is a link to another place")
    locks = tuple(_locks(lock_folder))  # before the rest: a download that ends meanwhile is still seen as one
    workshops = tuple(_workshops(lock_folder))
    if not os.path.lexists(path):
        return ModelContents(folder, there=False, partials=workshops, locks=locks)
    refs = frozenset(read_refs(path))
    aliases, revisions, other_snapshots = _snapshots(path)
    blobs, pieces, other_blobs = _blobs(root, path, shared=shared)
    size, modified, other = _beside(path)
    return ModelContents(
        folder,
        refs=refs | aliases,
        revisions=tuple(revisions),
        blobs=tuple(blobs),
        partials=(*pieces, *workshops),
        locks=locks,
        size=size,
        modified=modified,
        other=other or other_snapshots or other_blobs,
    )


def read_refs(model: str) -> Iterator[str]:
    """Commits that the model's refs name. Raises Unclear for one that names none."""
    place = os.path.join(model, layout.REFS)
    for path in walk(place) if os.path.lexists(place) else ():
        if os.path.islink(path) or not os.path.isfile(path):
            raise Unclear(f"{_shown(model, path)} is not a file")
        commit = read_file(path, _LONGEST_REF).decode("ascii", "replace").strip()
        if layout.COMMIT.fullmatch(commit):
            yield commit
        elif not path.endswith(_UNFINISHED_REF) and os.path.basename(path) not in _OF_FINDERS:
            raise Unclear(f"{_shown(model, path)} names no revision")


def read_links(model: str) -> set[str]:
    """Names in `blobs/` that any snapshot folder links to. Raises OSError and Unclear where that cannot be told."""
    place = os.path.join(model, layout.SNAPSHOTS)
    for attempt in range(_ATTEMPTS):
        if not os.path.lexists(place):
            break
        try:
            return {name for path in walk(place) if (name := _blob_of(model, path))}
        except FileNotFoundError:  # others delete under the reading
            if attempt == _ATTEMPTS - 1:
                raise
    return set()


def read_revision(model: str, commit: str) -> RevisionUse:
    """Raises OSError and Unclear where it cannot be told what the revision uses.

    The commit's listing counts for its time: huggingface_hub writes it before it asks for the first file, and asks
    without holding a lock.
    """
    blobs: set[str] = set()
    size, newest = 0, 0.0
    with contextlib.suppress(OSError):
        newest = os.lstat(os.path.join(model, layout.TREES, f"{commit}.json")).st_mtime
    waiting = [os.path.join(model, layout.SNAPSHOTS, commit)]
    while waiting:
        folder = waiting.pop()
        newest = max(newest, os.lstat(folder).st_mtime)
        with os.scandir(folder) as scan:
            entries = list(scan)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif name := _blob_of(model, entry.path):
                _check_blob(model, name, entry.path)
                blobs.add(name)
            else:
                info = entry.stat(follow_symlinks=False)
                size, newest = size + sole_bytes(info), max(newest, info.st_mtime)
    return RevisionUse(commit, frozenset(blobs), size, newest)


def _blob_of(model: str, path: str) -> str | None:
    """The name in `blobs/` that a link means; None for what is no link."""
    if not os.path.islink(path):
        return None
    goal = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    if os.path.dirname(goal) != os.path.join(model, layout.BLOBS):
        raise Unclear(f"{_shown(model, path)} is a link to another place")
    return os.path.basename(goal)


def _check_blob(model: str, name: str, link: str) -> None:
    """Raises OSError when it may not be looked at."""
    try:
        os.stat(os.path.join(model, layout.BLOBS, name))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            raise
        raise Unclear(f"{_shown(model, link)} is a broken link") from error


def _shown(model: str, path: str) -> str:
    """The path in the model's folder, with commits as short as people see them."""
    parts = os.path.relpath(path, model).split("/")
    return "/".join(part[:12] if layout.COMMIT.fullmatch(part) else part for part in parts)


def _snapshots(model: str) -> tuple[frozenset[str], list[RevisionUse], bool]:
    """Commits that links among the snapshots name, the revisions, and whether there is anything else."""
    place = os.path.join(model, layout.SNAPSHOTS)
    aliases: set[str] = set()
    revisions: list[RevisionUse] = []
    other = False
    for entry in entries_of(place):
        if entry.is_symlink():
            goal = os.path.normpath(os.path.join(place, os.readlink(entry.path)))
            if os.path.dirname(goal) != place or goal == entry.path:
                raise Unclear(f"{layout.SNAPSHOTS}/{entry.name} is a link to another place")
            aliases.add(os.path.basename(goal))
            other = True
        elif entry.is_dir(follow_symlinks=False):
            if not layout.COMMIT.fullmatch(entry.name):
                raise Unclear(f"{layout.SNAPSHOTS}/{entry.name} is not a revision")
            revisions.append(read_revision(model, entry.name))
        else:
            other = other or entry.name not in _OF_FINDERS
    return frozenset(aliases), sorted(revisions), other


def holds_nothing(model: str) -> bool:
    """Whether the folder has neither snapshots nor blobs, nor anything that no cache has made."""
    aliases, revisions, other = _snapshots(model)
    names = {entry.name for entry in entries_of(os.path.join(model, layout.BLOBS))} - _OF_FINDERS
    return not (aliases or revisions or other or names or _beside(model)[2])


def entries_of(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as scan:
            return list(scan)
    except FileNotFoundError:
        return []


def _blobs(root: str, model: str, *, shared: bool) -> tuple[list[StoredBlob], list[PartialPiece], bool]:
    """Blobs, what downloads have left beside them, and whether there is anything else."""
    blobs: list[StoredBlob] = []
    pieces: list[PartialPiece] = []
    other = False
    for entry in entries_of(os.path.join(model, layout.BLOBS)):
        info = entry.stat(follow_symlinks=False)
        is_file, is_link = stat.S_ISREG(info.st_mode), stat.S_ISLNK(info.st_mode)
        piece = layout.PARTIAL.fullmatch(entry.name) or layout.PARTIAL_LINK.fullmatch(entry.name)
        payload = shared_store.target(root, entry.path) if shared and is_link else None
        if piece and (is_file or is_link):
            pieces.append(PartialPiece(entry.name, piece["etag"], on_disk(info), info.st_mtime))
        elif layout.ETAG.fullmatch(entry.name) and (is_file or payload):
            size = sole_bytes(info) if is_file else 0
            name = os.path.basename(payload) if payload else None
            blobs.append(StoredBlob(entry.name, size, info.st_mtime, name))
        else:
            other = other or entry.name not in _OF_FINDERS
    return sorted(blobs), sorted(pieces), other


def _beside(model: str) -> tuple[int, float, bool]:
    """Bytes and newest time of what stands beside blobs and snapshots, and whether anything there is not known."""
    size, newest = 0, os.lstat(model).st_mtime
    other = False
    for entry in entries_of(model):
        info = entry.stat(follow_symlinks=False)
        newest = max(newest, info.st_mtime)
        if entry.name not in PARTS:
            other = other or entry.name not in _OF_FINDERS
        elif entry.name not in (layout.BLOBS, layout.SNAPSHOTS):
            found = [os.lstat(path) for path in walk(entry.path)]
            size += sum(file.st_size for file in found)
            newest = max([newest, *(file.st_mtime for file in found)])
    return size, newest, other


def _locks(place: str) -> Iterator[LockFile]:
    for entry in entries_of(place):
        if entry.name.endswith(".lock") and entry.is_file(follow_symlinks=False):
            modified = entry.stat(follow_symlinks=False).st_mtime
            yield LockFile(entry.name.removesuffix(".lock"), modified, is_held(entry.path))


def _workshops(place: str) -> Iterator[PartialPiece]:
    """Where a pull of ours makes files before they get their names."""
    for entry in entries_of(place):
        commit = entry.name.removesuffix(layout.WORKSHOP)
        if (
            entry.name.endswith(layout.WORKSHOP)
            and layout.COMMIT.fullmatch(commit)
            and entry.is_dir(follow_symlinks=False)
        ):
            modified = entry.stat(follow_symlinks=False).st_mtime
            yield PartialPiece(entry.name, f"{commit}{COMMIT_LOCK}", tree_bytes(entry.path), modified)
