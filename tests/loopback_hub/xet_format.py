"""The two binary formats of Xet that a store must read: the chunks of a xorb and the files of a shard.

They are specified on https://huggingface.co/docs/xet. A xorb is a sequence of compressed chunks; a shard says of which
chunks of which xorbs a file is made.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_CHUNK_HEADER = 8
_ENTRY = 48
_HASH = 32
_END_OF_FILES = b"\xff" * _HASH
_FLAG_VERIFICATION = 1 << 31
_FLAG_METADATA = 1 << 30


@dataclass(frozen=True)
class Chunk:
    start: int
    end: int
    """Where the compressed chunk is in the xorb."""
    size: int
    """How many bytes of a file it holds."""


@dataclass(frozen=True)
class Term:
    """A run of chunks of one xorb; the end is exclusive."""

    xorb: str
    first: int
    end: int


@dataclass(frozen=True)
class XetFile:
    hash: str
    sha256: str | None
    size: int
    terms: tuple[Term, ...]


def chunks_of_xorb(data: bytes) -> Iterator[Chunk]:
    position = 0
    while position < len(data) and data[position] == 0:  # a footer, if there is one, begins with another byte
        compressed = int.from_bytes(data[position + 1 : position + 4], "little")
        size = int.from_bytes(data[position + 5 : position + 8], "little")
        end = position + _CHUNK_HEADER + compressed
        yield Chunk(position, end, size)
        position = end


def files_of_shard(data: bytes) -> Iterator[XetFile]:
    position = _ENTRY
    while data[position : position + _HASH] != _END_OF_FILES:
        name = _hash(data, position)
        flags, count = struct.unpack_from("<II", data, position + _HASH)
        position += _ENTRY
        terms = []
        size = 0
        for _ in range(count):
            length, first, end = struct.unpack_from("<III", data, position + _HASH + 4)
            terms.append(Term(_hash(data, position), first, end))
            size += length
            position += _ENTRY
        if flags & _FLAG_VERIFICATION:
            position += _ENTRY * count
        sha256 = None
        if flags & _FLAG_METADATA:
            sha256 = _hash(data, position)
            position += _ENTRY
        yield XetFile(name, sha256, size, tuple(terms))


def _hash(data: bytes, position: int) -> str:
    """Xet writes a hash as four numbers of eight bytes, of which the lowest byte is stored first."""
    return "".join(f"{number:016x}" for number in struct.unpack_from("<4Q", data, position))
