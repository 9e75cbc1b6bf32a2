"""How two processes talk: frames of a four-byte length and a msgpack packet `[kind, id, body]`.

A packet's body is decoded by whoever knows its type, so that one wrong body spoils nothing but itself. Whatever bytes
arrive, reading them raises nothing but `BrokenStream`; whatever is to be sent, only `Unsendable`.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.troubles import Trouble, error_of, trouble_of

T = TypeVar("T")

LARGEST_FRAME = 64 * 2**20
"""Bytes; a prompt of a million tokens takes five of these 64 MiB."""
LARGEST_CALL = 8 * 2**20
"""Bytes; a tokenizer may take a second and 200 MB of memory for every million of them."""
_LENGTH_BYTES = 4


class BrokenStream(Exception):
    """What arrived is no message of this protocol."""


class Unsendable(Exception):
    """A value that msgpack cannot hold, or that is larger than a frame; the text says why."""


class Packet(msgspec.Struct, array_like=True, frozen=True):
    """`kind` says what the body is; `id` is the request or call that it belongs to, 0 where there is none."""

    kind: str
    id: int
    body: msgspec.Raw


def _encode_error(value: object) -> Trouble:
    if isinstance(value, Mlxk2Error):
        return trouble_of(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent")


def _decode_error(kind: type, value: object) -> Mlxk2Error:
    if kind is not Mlxk2Error:
        raise TypeError(f"a {kind.__name__} cannot be received")
    return error_of(msgspec.convert(value, Trouble))


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_error)
_PACKETS = msgspec.msgpack.Decoder(Packet)


class Body(Generic[T]):
    """Reads the bodies of one type."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind, dec_hook=_decode_error)

    def read(self, raw: bytes | msgspec.Raw) -> T:
        """Raises BrokenStream with the place in the value that is wrong."""
        try:
            return self._decoder.decode(raw)
        except (ValueError, RecursionError) as error:
            raise BrokenStream(str(error)) from None


def frame(kind: str, packet_id: int, body: object = None, limit: int = LARGEST_FRAME) -> bytes:
    """One packet, ready to be sent; it may take `limit` bytes."""
    try:
        packet = _ENCODER.encode((kind, packet_id, body))
    except (ValueError, TypeError, OverflowError, RecursionError, NotImplementedError) as error:
        raise Unsendable(str(error)) from None
    if len(packet) > limit:
        raise Unsendable(f"it takes {len(packet)} bytes, and {limit} is the limit: send less at once")
    return len(packet).to_bytes(_LENGTH_BYTES, "big") + packet


class Reader:
    """Puts packets together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> Iterator[Packet]:
        """The packets that `piece` completes. Raises BrokenStream, after which nothing more can be read."""
        self._bytes += piece
        begin = 0
        while (end := self._end_of_frame(begin)) is not None:
            packet = bytes(self._bytes[begin + _LENGTH_BYTES : end])
            begin = end
            yield _read_packet(packet)
        del self._bytes[:begin]

    def _end_of_frame(self, begin: int) -> int | None:
        body = begin + _LENGTH_BYTES
        if len(self._bytes) < body:
            return None
        length = int.from_bytes(self._bytes[begin:body], "big")
        if length > LARGEST_FRAME:
            raise BrokenStream(f"a frame of {length} bytes is announced")
        return body + length if len(self._bytes) >= body + length else None


def _read_packet(packet: bytes) -> Packet:
    try:
        return _PACKETS.decode(packet)
    except (ValueError, RecursionError) as error:
        raise BrokenStream(str(error)) from None
