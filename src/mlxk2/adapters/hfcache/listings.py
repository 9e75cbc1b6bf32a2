"""What a commit should hold: huggingface_hub's `trees/<commit>.json`, and records of ours where that is missing.

huggingface_hub writes a listing only when it downloads a whole snapshot. Whoever asks the Hub about a revision that is
in the cache leaves a record in the same format, `<own folder>/listings/<folder>/<commit>.json`, so that health knows
every file without asking again. A record that cannot be read or written is as good as none.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.reading import read_file
from mlxk2.ports.cache import ListedFile, SnapshotFacts
from mlxk2.ports.errors import ValidationError

if TYPE_CHECKING:
    from mlxk2.ports.pruning import RecordFile
    from mlxk2.ports.sources import SourceFile

_LARGEST_LISTING = 64 * 1024 * 1024
_LONGEST_NAME = 255
"""Bytes of a file's name that file systems take."""

Listing = tuple[ListedFile, ...]


class Listings:
    """Of one cache. `state_dir` as in `Settings`; None keeps no records of ours."""

    def __init__(self, root: str, state_dir: str | None) -> None:
        self._root = root
        self._state_dir = state_dir
        self._home: str | None = None

    def read(self, folder: str, commit: str) -> Listing | None:
        """huggingface_hub's, else ours; None when neither can be read."""
        listing = read_listing(os.path.join(self._root, folder), commit)
        if listing is None and self._state_dir is not None:
            return _read_tree(self._path(folder, commit))
        return listing

    def places(self, folder: str, facts: SnapshotFacts) -> tuple[str, ...]:
        """The files that decided which listing the facts have; relative ones are relative to the snapshot."""
        hub = f"../../{layout.TREES}/{facts.commit}.json"
        if self._state_dir is None:
            return (hub,)
        own = self._path(folder, facts.commit)
        return (hub,) if facts.listing is not None and not os.path.lexists(own) else (hub, own)

    def named_blobs(self, folder: str) -> frozenset[str]:
        """What all the listings of the model name."""
        places = [os.path.join(self._root, folder, layout.TREES)]
        if self._state_dir is not None:
            places.append(self._path(folder))
        commits = {commit for place in places for commit in _commits_in(place)}
        listings = (self.read(folder, commit) for commit in commits)
        return frozenset(row.blob for listing in listings if listing for row in listing)

    def record(self, folder: str, commit: str, files: "Iterable[SourceFile]") -> None:
        """Keep what the Hub says of a snapshot that is in the cache, where no listing of it can be read."""
        snapshot = os.path.join(self._root, folder, layout.SNAPSHOTS, commit)
        if self._state_dir is None or not os.path.isdir(snapshot) or self.read(folder, commit) is not None:
            return
        from mlxk2.adapters.hfcache.own_files import write_private

        files = sorted(files, key=lambda file: file.path)
        with contextlib.suppress(OSError, ValidationError):
            check_listing(files)
            write_private(self._path(folder, commit), encode(files))

    def forget(self, folder: str, commits: Iterable[str] | None = None) -> None:
        """Take away the records of ours for some commits, or (None) for the whole model."""
        if self._state_dir is None:
            return
        from mlxk2.adapters.hfcache.trees import delete_tree

        if commits is None:
            delete_tree(self._path(folder))
            return
        with contextlib.suppress(OSError):
            for commit in commits:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(folder, commit))
            os.rmdir(self._path(folder))  # only when it is empty

    def stored(self) -> "Iterator[RecordFile]":
        """All records of ours; those that cannot be looked at are passed over."""
        if self._state_dir is None:
            return
        from mlxk2.ports.pruning import RecordFile

        for folder in _names_in(self._path("")):
            for commit in _commits_in(self._path(folder)):
                with contextlib.suppress(OSError):
                    info = os.lstat(self._path(folder, commit))
                    yield RecordFile(folder, commit, info.st_size, info.st_mtime)

    def _path(self, folder: str, commit: str | None = None) -> str:
        if self._home is None:
            from mlxk2.adapters.hfcache.own_files import own_folder

            self._home = os.path.join(own_folder(self._state_dir or "", self._root), "listings")
        place = os.path.join(self._home, folder)
        return os.path.join(place, f"{commit}.json") if commit else place


def read_listing(model: str, commit: str) -> Listing | None:
    """huggingface_hub's list of the commit, or None when it is absent, unreadable or of an unknown format."""
    return _read_tree(os.path.join(model, layout.TREES, f"{commit}.json"))


def encode(files: "Iterable[SourceFile]") -> bytes:
    """The content of a `trees/<commit>.json`."""
    rows: dict[str, dict[str, object]] = {}
    for file in files:
        rows[file.path] = {"size": file.size, "blob_id": file.blob_id}
        if file.is_lfs:
            rows[file.path] |= {"lfs_sha256": file.etag, "lfs_size": file.size}
    return json.dumps({"format_version": layout.TREE_FORMAT_VERSION, "files": rows}, indent=1).encode()


def check_listing(files: "Iterable[SourceFile]") -> None:
    """No name that a server sends leads out of the model's folder, and all of them can be in one."""
    folders: set[str] = set()
    paths: set[str] = set()
    for file in files:
        parts = file.path.split("/")
        if any(_is_odd(part) for part in parts) or file.path in paths or not layout.ETAG.fullmatch(file.etag):
            raise _impossible(file.path)
        paths.add(file.path)
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if both := sorted(folders & paths):
        raise _impossible(both[0])


def _is_odd(part: str) -> bool:
    try:
        return part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > _LONGEST_NAME
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        return True


def _impossible(path: str) -> ValidationError:
    return ValidationError(f"The commit names a file that cannot be in a cache: {path!r}; nothing was downloaded")


def _read_tree(path: str) -> Listing | None:
    try:
        document = json.loads(read_file(path, _LARGEST_LISTING).decode("utf-8"))
        if document["format_version"] != layout.TREE_FORMAT_VERSION:
            return None
        return tuple(
            ListedFile(path, int(row.get("lfs_size") or row["size"]), str(row.get("lfs_sha256") or row["blob_id"]))
            for path, row in document["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _commits_in(place: str) -> Iterator[str]:
    return (name.removesuffix(".json") for name in _names_in(place) if name.endswith(".json"))


def _names_in(place: str) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except OSError:
        return []
