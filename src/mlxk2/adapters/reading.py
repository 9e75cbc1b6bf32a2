"""Reading small files by descriptor: on thousands of files, a buffered reader costs more than the reading.

Looking at a model is not using it: where the system can do so (Linux, for files of one's own), the time at which a file
was last read stays as it was.
"""

import os

from mlxk2.ports.cache import Ends, Head, Reading

_PIECE = 1 << 16
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_READ_UNSEEN = _READ | getattr(os, "O_NOATIME", 0)


def open_file(path: str, more_flags: int = 0) -> int:
    """A descriptor for reading, for the caller to close; never waits for a pipe's other end."""
    try:
        return os.open(path, _READ_UNSEEN | more_flags)
    except PermissionError:  # somebody else's file, perhaps
        return os.open(path, _READ | more_flags)


def read_file(path: str, most: int) -> bytes:
    """The whole file, or its first `most` bytes."""
    pieces: list[bytes] = []
    handle = open_file(path)
    try:
        while most > 0 and (piece := os.read(handle, min(_PIECE, most))):
            pieces.append(piece)
            most -= len(piece)
    finally:
        os.close(handle)
    return b"".join(pieces)


def excerpt(path: str, size: int, reading: Reading) -> tuple[bytes, bytes]:
    """The first and the last bytes that a reading asks for, of a file of `size` bytes."""
    handle = open_file(path)
    try:
        if isinstance(reading, Head):
            return os.read(handle, min(reading.length, size)), b""
        if isinstance(reading, Ends):
            length = min(reading.length, size)
            return os.pread(handle, length, 0), os.pread(handle, length, size - length)
        head = os.read(handle, 8)
        length = min(int.from_bytes(head, "little"), reading.limit, size)
        return head + os.read(handle, length), b""
    finally:
        os.close(handle)
