"""Reading a request's body: never more, never slower and never deeper than allowed, and valid text when it is there.

What is wrong is said before anything is decoded, and without a word of what the body says. A key that an object has
twice counts as its last value says, as every JSON parser of note has it.
"""

import asyncio
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from mlxk2.entrypoints.http.errors import Problem, Refusal, refusal
from mlxk2.entrypoints.http.identity import values_of

T = TypeVar("T")

_PATIENCE = 60.0
"""Seconds that a whole body may take to arrive."""
_CLOSE = (("connection", "close"),)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_BESIDE_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_HALF = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|[c-fC-F](?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]))"
)
_PAIR = len(rb"\ud83d\ude00")
_PIECE = 1 << 15
"""Bytes that are looked at in one go: other threads wait meanwhile."""
_LONG = 1 << 16
"""Bytes from which on a body is looked at in a thread, so that other requests go on."""


class BodyLimits(Protocol):
    """`largest_body` is in bytes, `deepest_json` counts objects and arrays within one another."""

    @property
    def largest_body(self) -> int: ...
    @property
    def deepest_json(self) -> int: ...


async def read_json_body(request: Request, limits: BodyLimits, patience: float = _PATIENCE) -> bytes:
    """The whole body, fit to be decoded as JSON; `patience` is in seconds.

    Raises Refusal, and ClientDisconnect when the client goes away meanwhile.
    """
    _check_length(values_of(request.scope, b"content-length"), limits.largest_body)
    try:
        async with asyncio.timeout(patience):
            body = await _read(request.receive, limits.largest_body)
    except TimeoutError:
        message = f"The body did not arrive within {patience:g} s; send it faster"
        raise Refusal(Problem(408, "timeout_error", message, code="request_timeout"), _CLOSE) from None
    if len(body) < _LONG:
        _check(body, limits.deepest_json)
    else:
        await asyncio.to_thread(_check, body, limits.deepest_json)
    return body


async def read_parsed(request: Request, limits: BodyLimits, parse: Callable[[bytes], T]) -> T:
    """What `parse` makes of the body, in a thread if it is long. Raises as `read_json_body`, and as `parse`."""
    body = await read_json_body(request, limits)
    return parse(body) if len(body) < _LONG else await asyncio.to_thread(parse, body)


def _check(body: bytes, deepest: int) -> None:
    check_text(body)
    check_depth(body, deepest)


def check_text(body: bytes) -> None:
    """Raises Refusal for what is no Unicode text, also where it is written with escapes."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal(f"The body is no valid UTF-8 (byte {error.start}); encode it as UTF-8") from None
    if b"\\u" not in body:
        return
    text = body.replace(rb"\\", b"")
    for start in range(0, len(text), _PIECE):
        found = _HALF.search(text, start, start + _PIECE + _PAIR)
        if found and found.start() < start + _PIECE:
            raise refusal("The body has half a surrogate pair (like \\ud83d alone); send whole characters")


def check_depth(body: bytes, deepest: int) -> None:
    """Raises Refusal for JSON that is nested deeper, without decoding it.

    Outside of strings valid JSON has no backslash: where one stands the decoder stops, so what this makes of the rest
    does not matter.
    """
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _BESIDE_BRACKETS)
    in_text = level = 0
    for start in range(0, len(bare), _PIECE):
        parts = bare[start : start + _PIECE].split(b'"')
        brackets = b"".join(parts[in_text::2])
        if max(accumulate(map(_STEPS.__getitem__, brackets), initial=level)) > deepest:
            raise refusal(f"The body is nested deeper than {deepest} levels; send flatter JSON")
        level += sum(brackets.count(bracket) * step for bracket, step in _STEPS.items())
        in_text ^= (len(parts) - 1) % 2


def _check_length(given: list[bytes], largest: int) -> None:
    if given and int(given[0]) > largest:
        raise _too_large(largest)


async def _read(receive: Receive, largest: int) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > largest:
            raise _too_large(largest)
        return body
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > largest:
            raise _too_large(largest)
        if not message.get("more_body", False):
            return bytes(parts)
        message = await receive()
    raise ClientDisconnect


def _too_large(largest: int) -> Refusal:
    message = f"The body is larger than {largest} bytes, this server's limit; send less"
    return Refusal(Problem(413, "invalid_request_error", message, code="request_too_large"), _CLOSE)
