"""Hashes that have been taken, kept in a file of ours: a file that looks as it did then need not be read again.

```
<memory>/mlxk2/caches/<key>/contents    one line a hash: device, inode, size, mtime and ctime in ns, algorithm, hash,
                                       when, crc32
```

A line is appended in one write as soon as the hash is known, so that a kill at any moment loses none that was taken,
and several programs may write at once. Lines that are torn or damaged are passed over; later ones count. The file may
be deleted at any time, and one that somebody else could have written is not believed.
"""

import contextlib
import os
import zlib
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

from mlxk2.adapters.hfcache.own_files import is_own, own_folder, write_private
from mlxk2.adapters.reading import read_file

_NAME = "contents"
_LARGEST = 256 * 1024 * 1024
_SPARE_LINES = 4096
"""Lines without use that may pile up before the file is written anew."""
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Identity(NamedTuple):
    """A file that looks as it did, and which hash is meant; times in nanoseconds.

    `modified` can be set to anything, as whoever copies or restores files does; `changed` only by the system.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int
    sha256: bool


class Taken(NamedTuple):
    """`when` in seconds since the epoch."""

    hash: str
    when: float


class ContentsRecord:
    """Of one cache. Whatever keeps it from being read or written costs time and nothing else."""

    def __init__(self, memory_dir: str, root: str) -> None:
        self._path = os.path.join(own_folder(memory_dir, root), _NAME)
        self._handle: int | None = None
        self._guard = Lock()

    def load(self) -> dict[Identity, Taken]:
        """All hashes that are remembered; shortens the file when most of it is of no use."""
        try:
            if not is_own(self._path):
                return {}
            if os.path.getsize(self._path) > _LARGEST:
                write_private(self._path, b"")
            lines = read_file(self._path, _LARGEST).splitlines()
        except OSError:
            return {}
        known = dict(parsed for line in lines if (parsed := _parse(line)))
        if len(lines) > 2 * len(known) + _SPARE_LINES:
            self._rewrite(known.items())
        return known

    def open(self) -> None:
        """Before the first `add`."""
        with contextlib.suppress(OSError):
            self._handle = self._opened()

    def add(self, identity: Identity, taken: Taken) -> None:
        """Remember one more, from any thread; after `close`, nothing."""
        with self._guard, contextlib.suppress(OSError):
            if self._handle is not None:
                os.write(self._handle, _line(identity, taken))

    def close(self) -> None:
        with self._guard:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _opened(self) -> int:
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        if os.path.lexists(self._path) and not is_own(self._path):
            raise PermissionError(self._path)
        handle = os.open(self._path, _APPEND, 0o600)
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            os.write(handle, b"\n")  # a full disk or a power cut has torn the last line
        return handle

    def _rewrite(self, known: Iterable[tuple[Identity, Taken]]) -> None:
        with contextlib.suppress(OSError):
            write_private(self._path, b"".join(_line(identity, taken) for identity, taken in known))


def _line(identity: Identity, taken: Taken) -> bytes:
    *numbers, sha256 = identity
    words = (*map(str, numbers), "sha256" if sha256 else "git", taken.hash, f"{taken.when:.3f}")
    text = " ".join(words).encode()
    return b"%b %08x\n" % (text, zlib.crc32(text))


def _parse(line: bytes) -> tuple[Identity, Taken] | None:
    text, _, check = line.rpartition(b" ")
    try:
        if int(check, 16) != zlib.crc32(text):
            return None
        *numbers, algorithm, digest, when = text.decode("ascii").split(" ")
        device, inode, size, modified, changed = map(int, numbers)
        identity = Identity(device, inode, size, modified, changed, algorithm == "sha256")
        return identity, Taken(digest, float(when))
    except ValueError:
        return None
