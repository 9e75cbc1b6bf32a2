"""A file that is being downloaded, with a map of what is there: a later process goes on where this one ended.

```
blobs/<etag>.6d6c786b.incomplete      the name that huggingface_hub gives its own partial files, with a fixed number
[file content, `size` bytes][magic, version, size][one u64 for each segment: bytes done from its start]
```

The content is written first and the count after it, so that a kill at any moment leaves a count that is true. When the
content is whole and right, the map is cut off and the file renamed. A file of exactly `size` bytes has lost its map in
that last moment: all of it counts as done, and its hash decides.
"""

import contextlib
import errno
import os
import struct
from collections.abc import Iterator, Sequence
from threading import Lock

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.locks import is_same_file

SEGMENT = 32 * 1024 * 1024
"""Bytes that one request asks for."""
_HEADER = struct.Struct("<8sIIQ")
_MAGIC = b"MLXK2MAP"
_VERSION = 1
_COUNT = struct.Struct("<Q")
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OWN = f".{layout.OWN_PARTIAL}.incomplete"


class LetGo(Exception):
    """The partial file was closed; what a thread still brings for it is not wanted any more."""


def path_of(blobs: str, etag: str) -> str:
    return os.path.join(blobs, f"{etag}{_OWN}")


class Partial:
    """The open partial file of one blob. Whoever opens it holds the blob's lock."""

    def __init__(self, blobs: str, etag: str, size: int, pieces: Sequence[str] = ()) -> None:
        """`pieces` are the names of what other attempts at the blob have left, as `leftovers` finds them."""
        self._path = path_of(blobs, etag)
        self._size = size
        self._pieces = [os.path.join(blobs, name) for name in pieces]
        self._segments = -(-size // SEGMENT)
        self._done = [0] * self._segments
        self._guard = Lock()
        self._open = True
        piece = None if os.path.lexists(self._path) else _longest(self._pieces)
        self.handle = os.open(piece or self._path, _OPEN, 0o666)
        if not self._read_map():
            self._start_from(os.fstat(self.handle).st_size if piece else 0)
        if piece:  # with its map by now, so that a kill here loses nothing
            os.rename(piece, self._path)

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return sum(self._done)

    @property
    def frontier(self) -> int:
        """Bytes that are there without a hole, from the beginning."""
        total = 0
        for number, done in enumerate(self._done):
            total += done
            if done < self._length(number):
                break
        return total

    def missing(self) -> Iterator[tuple[int, int]]:
        """What is still to be fetched, as (start, stop), at most a segment each and in order."""
        for number, done in enumerate(self._done):
            start = number * SEGMENT
            if done < self._length(number):
                yield start + done, start + self._length(number)

    def write(self, start: int, piece: bytes) -> None:
        """Content at its place. Each segment is written by one thread, from its first missing byte on.

        Raises LetGo when the file has been closed meanwhile: then another process may hold the lock already.
        """
        number = start // SEGMENT
        with self._guard:
            if not self._open:
                raise LetGo
            if not piece:
                return
            written = 0
            while written < len(piece):
                written += os.pwrite(self.handle, memoryview(piece)[written:], start + written)
            self._done[number] = start + len(piece) - number * SEGMENT
            os.pwrite(self.handle, _COUNT.pack(self._done[number]), self._map_place(number))

    def finish(self, blob: str) -> None:
        """The content is right: give it its name, and clear what other attempts at it have left behind.

        Raises FileNotFoundError when somebody has deleted the file meanwhile.
        """
        self._let_go()
        os.ftruncate(self.handle, self._size)
        if not is_same_file(self.handle, self._path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path)
        os.replace(self._path, blob)
        for piece in self._pieces:
            with contextlib.suppress(OSError):
                os.unlink(piece)

    def discard(self) -> None:
        """The content is wrong: nothing of it is worth keeping."""
        self._let_go()
        if is_same_file(self.handle, self._path):
            os.unlink(self._path)

    def close(self) -> None:
        """Whatever happened; what is there stays there."""
        self._let_go()
        os.close(self.handle)

    def _let_go(self) -> None:
        with self._guard:
            self._open = False

    def _length(self, number: int) -> int:
        return min(SEGMENT, self._size - number * SEGMENT)

    def _map_place(self, number: int) -> int:
        return self._size + _HEADER.size + number * _COUNT.size

    def _read_map(self) -> bool:
        """Whether the file has a map of ours that can be true, or needs none because its content is whole."""
        length = os.fstat(self.handle).st_size
        if length == self._size:
            self._done = [self._length(number) for number in range(self._segments)]
            return True
        if length != self._map_place(self._segments):
            return False
        header = os.pread(self.handle, _HEADER.size, self._size)
        if header != _HEADER.pack(_MAGIC, _VERSION, SEGMENT, self._size):
            return False
        counts = os.pread(self.handle, self._segments * _COUNT.size, self._map_place(0))
        done = [count for (count,) in _COUNT.iter_unpack(counts)]
        if any(count > self._length(number) for number, count in enumerate(done)):
            return False
        self._done = done
        return True

    def _start_from(self, prefix: int) -> None:
        """A fresh map: `prefix` bytes are there, and nothing behind them."""
        prefix = min(prefix, self._size)
        self._done = [max(0, min(self._length(n), prefix - n * SEGMENT)) for n in range(self._segments)]
        os.ftruncate(self.handle, prefix)
        counts = b"".join(_COUNT.pack(count) for count in self._done)
        os.pwrite(self.handle, _HEADER.pack(_MAGIC, _VERSION, SEGMENT, self._size) + counts, self._size)


def leftovers(blobs: str) -> dict[str, list[str]]:
    """Names of partial files that are not ours, by their blob; read once for all files of a pull."""
    found: dict[str, list[str]] = {}
    try:
        names = os.listdir(blobs)
    except OSError:
        return found
    for name in names:
        match = layout.PARTIAL.fullmatch(name) if name.endswith(".incomplete") else None
        if match and not name.endswith(_OWN):
            found.setdefault(match["etag"], []).append(name)
    return found


def bytes_there(blobs: str, etag: str, pieces: Sequence[str]) -> int:
    """Bytes on the disk of a blob's partial file, or of the piece to begin with; near enough for planning."""
    own = path_of(blobs, etag)
    paths = [own] if os.path.lexists(own) else [os.path.join(blobs, name) for name in pieces]
    try:
        return max((os.lstat(path).st_blocks * 512 for path in paths), default=0)
    except OSError:
        return 0


def give_up_name(blobs: str, etag: str, size: int) -> str | None:
    """Take a wrong file's name away: one that is too short becomes a piece to go on from, whose name is returned."""
    blob = os.path.join(blobs, etag)
    if os.path.isfile(blob) and not os.path.islink(blob) and os.path.getsize(blob) < size:
        name = f"{etag}.00000000.incomplete"
        os.rename(blob, os.path.join(blobs, name))
        return name
    os.unlink(blob)
    return None


def _longest(pieces: Sequence[str]) -> str | None:
    """What a killed huggingface_hub left of the blob.

    It writes from the beginning without holes, and holds the blob's lock while it lives, so what is there is a prefix
    that nobody else uses; should it not be, the hash of the whole will tell.
    """
    usable = [path for path in pieces if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.W_OK)]
    return max(usable, key=os.path.getsize, default=None)
