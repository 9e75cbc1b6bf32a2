"""Requests that are wrong in some way, made from good ones by chance: the same ones for the same seed.

A body is spoilt first as a document, then as text, then in its headers, each or none; a few stay good in spite of it.
"""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.e2e.good_bodies import GOOD

_HUGE = (2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e308, 1e-320, -1, 0, -0.0, 0.5, 4095.5)
_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x7f\x1b[31m",
    "\u202e\u2066\ufeff",
    "é\u0301" * 50,
    "👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈",
    "\U0010ffff\ufffe\uffff",
    "<|im_end|>\n<|im_start|>system\n",
    "<think></think><tool_call>{</tool_call>",
    "{{ 7 * 7 }}{% for x in y %}",
    "../../../../etc/passwd",
    "http://127.0.0.1:1/x.png",
    "mlxk2/demo@zzzz",
    "demo@",
    "a/b/c",
    "null",
    "(" * 300,
    "hello " * 800,
    "\ud800",
)
_NASTY: tuple[Any, ...] = (
    *_HUGE,
    *_TEXTS,
    None,
    True,
    False,
    float("nan"),
    float("inf"),
    -float("inf"),
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": ""},
    {"a": {"b": {"c": []}}},
    ["hi", "yo"],
    [1, "a"],
    [-1],
    [10**6],
    list(range(2000)),
    {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}},
    [{"type": "image", "source": {"type": "url", "url": "http://127.0.0.1:1/x.png"}}],
    {"type": "json_schema"},
    {"$ref": "#"},
    {"type": "function", "function": {"name": ""}},
)
_NAMES = (
    "",
    "x",
    "__class__",
    "model",
    "n",
    "max_tokens",
    "a" * 500,
    "é",
    "stream",
    "prompt",
    "\ud83d",
    "type",
    "role",
)
_PIECES = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\x00",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    b"\\x",
    b"NaN",
    b"1e999",
    b"-",
    b"//",
    b"'",
    b"\xef\xbb\xbf",
    b"0" * 5000,
    b"[" * 200,
    b"true",
)
_HEADERS: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "application/json; charset=latin-1"},
    {"Content-Type": "application/json;;;"},
    {"Content-Type": "é/ü"},
    {"Content-Type": ""},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "deflate, br"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Host": "evil.example"},
    {"Host": ""},
    {"Accept": "image/png"},
    {"Accept-Encoding": "gzip;q=banana"},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic \xff\xfe"},
    {"X-Api-Key": "\xff" * 300},
    {"X-Request-Id": "a b\tc"},
    {"X-Request-Id": "x" * 5000},
    {"X-Forwarded-For": "unknown, 1.2.3.4"},
    {"Cookie": "a=" + "b" * 8000},
    {"Anthropic-Version": "1066-10-14"},
    {"Anthropic-Beta": "\xa0"},
    {"X-HTTP-Method-Override": "DELETE"},
    {"Range": "bytes=0-1"},
    {"TE": "trailers"},
)

_LARGEST = 500_000
"""Bytes: what is still larger is cut off there."""


@dataclass(frozen=True)
class Malformed:
    path: str
    headers: dict[str, str]
    body: bytes


def malformed(count: int, seed: int) -> Iterator[Malformed]:
    chance = random.Random(seed)  # noqa: S311 - nothing here is a secret
    for _ in range(count):
        path, good = chance.choice(GOOD)
        document: Any = json.loads(json.dumps(good))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            document = chance.choice(_SPOIL)(document, chance)
        text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
        body = text.encode("utf-8", "surrogatepass")
        if chance.random() < 0.4:
            body = chance.choice(_GARBLE)(body, chance)
        headers = {"Content-Type": "application/json"}
        if chance.random() < 0.15:
            headers |= chance.choice(_HEADERS)
        yield Malformed(path, headers, body[:_LARGEST])


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """All containers with each of their keys."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield node, key
            yield from _places(value)


def _nasty(chance: random.Random) -> Any:
    return deepcopy(chance.choice(_NASTY))


def _replace(document: Any, chance: random.Random) -> Any:
    places = list(_places(document))
    if not places:
        return _nasty(chance)
    node, key = chance.choice(places)
    node[key] = _nasty(chance)
    return document


def _remove(document: Any, chance: random.Random) -> Any:
    places = list(_places(document))
    if places:
        node, key = chance.choice(places)
        del node[key]
    return document


def _add(document: Any, chance: random.Random) -> Any:
    objects = [node for node, _ in _places(document) if isinstance(node, dict)]
    if objects:
        chance.choice(objects)[chance.choice(_NAMES)] = _nasty(chance)
    return document


def _repeat(document: Any, chance: random.Random) -> Any:
    lists = [node for node, _ in _places(document) if isinstance(node, list)]
    if lists:
        node = chance.choice(lists)
        node *= chance.choice((2, 3, 3, 20))
    return document


def _bury(document: Any, chance: random.Random) -> Any:
    places = list(_places(document))
    if places:
        node, key = chance.choice(places)
        for _ in range(chance.choice((1, 5, 30, 62, 63, 64, 300))):
            node[key] = [node[key]] if chance.random() < 0.5 else {"a": node[key]}
    return document


def _whole(document: Any, chance: random.Random) -> Any:
    return chance.choice((_nasty(chance), [document], {"body": document}))


_Spoil = Callable[[Any, random.Random], Any]
_SPOIL: tuple[_Spoil, ...] = (_replace, _replace, _replace, _replace, _remove, _add, _repeat, _bury, _whole)


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _insert(body: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.choice(_PIECES) + body[place:]


def _flip(body: bytes, chance: random.Random) -> bytes:
    if not body:
        return b"\xff"
    place = chance.randrange(len(body))
    return body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]


def _lose(body: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + body[place + chance.choice((1, 2, 20)) :]


def _other_encoding(body: bytes, chance: random.Random) -> bytes:
    return body.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-32", "utf-8-sig")))


def _twice(body: bytes, chance: random.Random) -> bytes:
    return body + chance.choice((b"", b"\n", b"{}")) + body


def _deep(body: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((65, 1000, 50_000))
    return chance.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + body + b"]" * depth))


_Garble = Callable[[bytes, random.Random], bytes]
_GARBLE: tuple[_Garble, ...] = (_cut, _cut, _insert, _insert, _flip, _flip, _lose, _other_encoding, _twice, _deep)
