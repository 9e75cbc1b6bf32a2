"""A file of facts about models that look as they did when they were read, so that a large cache is listed at once.

```
<memory>/mlxk2/caches/<key>/index    a line that names the format, then one a model: crc32, folder, facts in JSON
```

The facts are those of the ports, never a verdict. Whatever is wrong with the file costs time and nothing else: a line
that is damaged is passed over, the file may be deleted at any time, and one that others could have written is not
believed.
"""

import contextlib
import os
import re
import zlib
from collections.abc import Iterable

from mlxk2.adapters.hfcache.own_files import is_own, own_folder, write_private
from mlxk2.adapters.reading import read_file

_NAME = "index"
_FORMAT = b"mlxk2 index 1"
_LARGEST = 1 << 30
_LONGEST_LINE = 64 * 1024
_PLAIN = re.compile(r"[\w.+-]+", re.ASCII)


class Index:
    """Lines by model folder."""

    def __init__(self, memory_dir: str, root: str) -> None:
        self._path = os.path.join(own_folder(memory_dir, root), _NAME)
        self._lines = self._load()
        self._is_changed = False

    def facts(self, folder: str) -> bytes | None:
        """The JSON that was put there, intact; None when there is none."""
        line = self._lines.get(folder)
        if line is None:
            return None
        checksum, _, rest = line.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(rest):
            return None
        return rest.partition(b" ")[2]

    def put(self, folder: str, facts: bytes | None) -> None:
        """`facts` are JSON on one line; None, and what is too long to be worth it, takes the model out."""
        if facts is None or len(facts) > _LONGEST_LINE or not _PLAIN.fullmatch(folder):
            self._is_changed |= self._lines.pop(folder, None) is not None
            return
        rest = b"%s %s" % (folder.encode(), facts)
        self._lines[folder] = b"%08x %s" % (zlib.crc32(rest), rest)
        self._is_changed = True

    def save(self, folders: Iterable[str]) -> None:
        """Write what has changed, without models that are gone; `folders` are those that are there."""
        here = set(folders)
        kept = {folder: line for folder, line in self._lines.items() if folder in here}
        if not self._is_changed and len(kept) == len(self._lines):
            return
        with contextlib.suppress(OSError):
            write_private(self._path, b"\n".join([_FORMAT, *kept.values(), b""]))
        self._lines, self._is_changed = kept, False

    def _load(self) -> dict[str, bytes]:
        try:
            if not is_own(self._path):
                return {}
            head, *lines = read_file(self._path, _LARGEST).split(b"\n")
        except OSError:
            return {}
        if head != _FORMAT:
            return {}
        return {line[9 : line.find(b" ", 9)].decode("ascii", "replace"): line for line in lines if line}
