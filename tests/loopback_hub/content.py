"""Bytes that can be served: in memory or on disk, and spoilt versions of them. No file is ever held in memory."""

import hashlib
import os
import socket
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

PIECE = 1 << 20


class Body(Protocol):
    @property
    def size(self) -> int: ...

    def piece(self, offset: int, count: int) -> bytes: ...

    def push(self, peer: socket.socket, offset: int, count: int) -> int:
        """Hand at most `count` bytes to a socket that does not block; how many it took."""
        ...


class InMemory:
    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)
        self.size = len(data)

    def piece(self, offset: int, count: int) -> bytes:
        return bytes(self._view[offset : offset + count])

    def push(self, peer: socket.socket, offset: int, count: int) -> int:
        return peer.send(self._view[offset : offset + count])


class OnDisk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def piece(self, offset: int, count: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)

    def push(self, peer: socket.socket, offset: int, count: int) -> int:
        # The operating system copies from the file to the socket: the cheapest way there is, since a benchmark of a
        # client must not measure its server.
        file = os.open(self.path, os.O_RDONLY)
        try:
            return os.sendfile(peer.fileno(), file, offset, count)
        finally:
            os.close(file)


class Flipped:
    """Another body with one wrong byte."""

    def __init__(self, body: Body, offset: int) -> None:
        self._body = body
        self._offset = offset
        self.size = body.size

    def piece(self, offset: int, count: int) -> bytes:
        data = bytearray(self._body.piece(offset, count))
        if 0 <= self._offset - offset < len(data):
            data[self._offset - offset] ^= 0xFF
        return bytes(data)

    def push(self, peer: socket.socket, offset: int, count: int) -> int:
        if offset == self._offset:
            return peer.send(self.piece(offset, 1))
        if offset < self._offset:
            count = min(count, self._offset - offset)
        return self._body.push(peer, offset, count)


class Shortened:
    """Another body without its end."""

    def __init__(self, body: Body, missing: int) -> None:
        self._body = body
        self.size = max(0, body.size - missing)

    def piece(self, offset: int, count: int) -> bytes:
        return self._body.piece(offset, min(count, self.size - offset))

    def push(self, peer: socket.socket, offset: int, count: int) -> int:
        return self._body.push(peer, offset, count)


class Blob:
    """The content of a file, with the names that git and LFS give it."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.size = body.size

    def pieces(self) -> Iterator[bytes]:
        for offset in range(0, self.size, PIECE):
            yield self.body.piece(offset, PIECE)

    def read(self) -> bytes:
        return b"".join(self.pieces())

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    @cached_property
    def git_sha1(self) -> str:
        digest = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


def blob_of(content: bytes | Path) -> Blob:
    return Blob(InMemory(content) if isinstance(content, bytes) else OnDisk(content))
