"""Blobs whose content has been found to be another than their name says, kept so that whoever judges a model knows it.

```
<memory>/mlxk2/caches/<key>/damaged    {folder: {blob: [device, inode, size, mtime in ns, ctime in ns]}}
```

A blob that looks otherwise by now has been written since, and is not counted. The file may be deleted at any time.
"""

import contextlib
import json
import os
from collections.abc import Mapping

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.own_files import is_own, own_folder, write_private
from mlxk2.adapters.hfcache.witnesses import Look, look_of
from mlxk2.adapters.reading import read_file

_NAME = "damaged"
_LARGEST = 64 * 1024 * 1024

Known = dict[str, dict[str, list[int]]]


class KnownDamage:
    """Of the cache at `root`; `memory_dir` as in `Settings`."""

    def __init__(self, root: str, memory_dir: str) -> None:
        self._root = root
        self._path = os.path.join(own_folder(memory_dir, root), _NAME)
        self._known = self._load()

    def blobs(self, folder: str) -> frozenset[str]:
        """Names of the model's blobs that are known to be damaged and have not been written since."""
        known = self._known.get(folder)
        return frozenset(blob for blob, look in known.items() if self._looks(folder, blob) == look) if known else _NONE

    def update(self, found: Mapping[tuple[str, str], Look | None]) -> None:
        """What has become known of blobs, by folder and name: how a damaged one looks, None of a whole one."""
        if not self._known and not any(found.values()):
            return
        for (folder, blob), look in found.items():
            blobs = self._known.setdefault(folder, {})
            if look is None:
                blobs.pop(blob, None)
            else:
                blobs[blob] = list(look)
        self._known = {folder: blobs for folder, blobs in self._known.items() if blobs}
        with contextlib.suppress(OSError):
            write_private(self._path, json.dumps(self._known).encode("ascii"))

    def _looks(self, folder: str, blob: str) -> list[int] | None:
        path = os.path.join(self._root, folder, layout.BLOBS, blob)
        try:
            return list(look_of(os.lstat(shared_store.target(self._root, path) or path)))
        except OSError:
            return None

    def _load(self) -> Known:
        try:
            known = json.loads(read_file(self._path, _LARGEST)) if is_own(self._path) else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return known if _has_the_form(known) else {}


_NONE: frozenset[str] = frozenset()


def _has_the_form(known: object) -> bool:
    return isinstance(known, dict) and all(
        isinstance(blobs, dict) and all(isinstance(look, list) for look in blobs.values()) for blobs in known.values()
    )
