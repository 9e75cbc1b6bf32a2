"""The `CacheDisk` port on a real cache: one walk over all of it, in which no link is followed but those into the store.

A file that is being downloaded has its full length from early on, with holes in it: it counts with the blocks that it
takes. Everything else counts with its length, as the Hub and `list` tell sizes.
"""

import os
from collections.abc import Iterator

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.trees import on_disk
from mlxk2.ports.disk import DiskFile, Missed

_PARTIAL = ".incomplete"


class HfCacheDisk:
    """The files below one cache folder, which need not exist."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)

    def files(self, missed: Missed) -> Iterator[DiskFile]:
        yield from _Walk(self._root, missed).files()


class _Walk:
    def __init__(self, root: str, missed: Missed) -> None:
        self._root = root
        self._missed = missed
        self._has_store = shared_store.exists(root)

    def files(self) -> Iterator[DiskFile]:
        for entry in self._entries(""):
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.name)
            elif (file := self._plain("", entry.name, entry)) is not None:
                yield file

    def _below(self, top: str) -> Iterator[DiskFile]:
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            for entry in self._entries(f"{top}/{prefix}"):
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{path}/")
                    continue
                file = self._link(top, path, entry) if entry.is_symlink() else self._plain(top, path, entry)
                if file is not None:
                    yield file

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self._root, folder)) as scan:
                return list(scan)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            self._missed(folder.rstrip("/"))
            return []

    def _plain(self, top: str, path: str, entry: os.DirEntry[str]) -> DiskFile | None:
        info = None if entry.is_symlink() else self._stat(entry.path, os.path.dirname(f"{top}/{path}"))
        if info is None:
            return None
        partial = path.startswith(f"{layout.BLOBS}/") and path.endswith(_PARTIAL)
        size = on_disk(info) if partial else info.st_size
        return DiskFile(top, path, size, (info.st_dev, info.st_ino), info.st_nlink, is_partial=partial)

    def _link(self, top: str, path: str, entry: os.DirEntry[str]) -> DiskFile | None:
        """A blob that stands for a file of the shared store; any other link takes no space worth telling."""
        is_blob = self._has_store and os.path.dirname(path) == layout.BLOBS
        payload = shared_store.target(self._root, entry.path) if is_blob else None
        if payload is None or not shared_store.is_payload(payload):
            return None
        info = self._stat(payload, layout.BLOBS)
        if info is None:
            return None
        return DiskFile(top, path, info.st_size, (info.st_dev, info.st_ino), info.st_nlink, is_link=True)

    def _stat(self, path: str, folder: str) -> os.stat_result | None:
        """None for what is gone by now, and for what cannot be looked at, of which `missed` is told the folder."""
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            self._missed(folder)
            return None
