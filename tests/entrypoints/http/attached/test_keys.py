"""Who gets in under /engine: this user's programs on this machine, and nobody else, whatever they bring."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest

from mlxk2.entrypoints.http.context import HttpOptions
from mlxk2.ports.errors import Mlxk2Error, Overloaded, ServerGone, ValidationError
from tests.entrypoints.http.attached.asking import BEARER, KEY, OPTIONS, PATHS, Attached, attached, refused
from tests.entrypoints.http.doors.asking import HOME, JSON, Header, Reply, asked
from tests.entrypoints.http.doors.operated import MODEL, OTHER, Operated, operated

API_KEY = "a-key-of-the-server"
KEYED = replace(OPTIONS, api_keys=(API_KEY,))
HERE = ("127.0.0.1", 50000)


async def asked_with(
    server: Operated,
    *headers: Header,
    path: str = "/engine/status",
    host: Header = HOME,
    body: Sequence[bytes] = (b"{}",),
    client: tuple[str, int] | None = HERE,
    method: str = "POST",
) -> Reply:
    return await asked(server.app, method, path, [host, JSON, *headers], body, client)


@pytest.mark.parametrize("options", [OPTIONS, KEYED], ids=["open", "keyed"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Basic " + KEY.encode())],
        [(b"authorization", KEY.encode())],
        [(b"authorization", b"Bearer " + KEY[:-1].encode())],
        [(b"authorization", b"Bearer " + KEY.upper().encode())],
        [(b"authorization", b"Bearer " + KEY.encode() + b"\xff")],
        [(b"authorization", b"Bearer " + API_KEY.encode())],
        [(b"x-api-key", API_KEY.encode())],
        [(b"authorization", b"Bearer " + API_KEY.encode()), BEARER],
        [(b"cookie", b"key=" + KEY.encode())],
    ],
)
def test_no_other_key_opens_any_of_its_paths(headers: list[Header], options: HttpOptions) -> None:
    async def scene(server: Operated) -> None:
        for path in PATHS:
            reply = await asked_with(server, *headers, path=f"/engine/{path}")
            assert (reply.status, reply.header(b"www-authenticate")) == (401, b"Bearer")
            assert isinstance(refused(reply), ServerGone)

    operated(scene, options)


def test_without_a_local_key_nobody_gets_in() -> None:
    async def scene(server: Operated) -> None:
        for headers in ([], [BEARER], [(b"authorization", b"Bearer None")], [(b"authorization", b"Bearer x")]):
            assert (await asked_with(server, *headers)).status == 401

    operated(scene, HttpOptions())


@pytest.mark.parametrize(
    "path",
    ["/engine", "/engine/", "//engine/status", "/Engine/status", "/engine//status", "/v1/../engine/status", "/status"],
)
def test_no_other_spelling_of_a_path_leads_there(path: str) -> None:
    async def scene(server: Operated) -> None:
        assert (await asked_with(server, path=path)).status in (401, 404)
        assert (await asked_with(server, BEARER, path=path)).status == 404

    operated(scene, OPTIONS)


def test_the_key_counts_from_this_machine_only() -> None:
    async def scene(server: Operated) -> None:
        for client, status in ((HERE, 200), (("::1", 1), 200), (("192.0.2.7", 50000), 401), (("2001:db8::1", 1), 401)):
            assert (await asked_with(server, BEARER, client=client)).status == status
            models = await asked_with(server, BEARER, client=client, path="/v1/models", method="GET")
            assert models.status == status

    operated(scene, replace(KEYED, host="0.0.0.0"))  # noqa: S104 - no socket is opened


def test_the_local_key_opens_everything_else_too() -> None:
    async def scene(server: Attached) -> None:
        for path in ("/v1/models", "/ready", "/metrics", "/openapi.json"):
            assert (await server.get(path)).status == 200
        assert (await server.load()).status == 200

    attached(scene, KEYED)


def test_a_page_or_a_rebound_name_does_not_get_in_even_with_the_key() -> None:
    listed = "https://chat.example.org"
    strange: tuple[tuple[Header, list[Header]], ...] = (
        ((b"host", b"evil.example.org"), []),
        ((b"host", b"192.0.2.1:8000"), []),
        (HOME, [(b"origin", b"https://evil.example.org")]),
        (HOME, [(b"origin", b"null")]),
        (HOME, [(b"origin", listed.encode())]),
        (HOME, [(b"origin", b"http://127.0.0.1:8000")]),
        (HOME, [(b"sec-fetch-site", b"cross-site")]),
    )

    async def scene(server: Operated) -> None:
        for host, headers in strange:
            reply = await asked_with(server, BEARER, *headers, host=host)
            assert reply.status == 403, (host, headers)
            assert isinstance(refused(reply), ServerGone)

    operated(scene, replace(OPTIONS, cors_origins=(listed,)))


def test_a_form_cannot_be_sent_there() -> None:
    async def scene(server: Operated) -> None:
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        assert (await asked(server.app, "POST", "/engine/status", [HOME, kind, BEARER], [b"{}"])).status == 415

    operated(scene, OPTIONS)


def test_everything_there_is_asked_with_post() -> None:
    async def scene(server: Attached) -> None:
        for path in PATHS:
            reply = await server.get(f"/engine/{path}")
            assert (reply.status, reply.header(b"allow")) == (405, b"POST")
        reply = await server.post("/engine/close", {})
        assert reply.status == 404
        assert isinstance(refused(reply), ServerGone)

    attached(scene)


def test_a_huge_body_is_refused_before_it_is_read() -> None:
    async def scene(server: Operated) -> None:
        announced = (b"content-length", b"67108865")
        reply = await asked_with(server, BEARER, announced, path="/engine/tokenize", body=[])
        assert reply.status == 413
        assert isinstance(refused(reply), ValidationError)
        pieces = [b" " * 2**20] * 65
        assert (await asked_with(server, BEARER, path="/engine/tokenize", body=pieces)).status == 413
        assert (await asked_with(server, announced, path="/engine/tokenize", body=[])).status == 401

    operated(scene, OPTIONS)


def test_a_body_larger_than_other_clients_may_send_is_read() -> None:
    async def scene(server: Attached) -> None:
        text = "a" * 5000
        reply = await server.post("/engine/tokenize", {"model": MODEL, "text": text})
        assert (reply.status, reply.json) == (200, [97] * 5000)

    attached(scene, replace(OPTIONS, largest_body=1000))


_TRUNCATED = [
    b"",
    b"nothing",
    b"[]",
    b"null",
    b'{"model": "org/first", ',
    b'{"model": 5, "text": "x"}',
    b'{"text": "x"}',
    b'{"model": "org/first"}',
    b'{"model": "org/first", "text": "\\ud83d"}',
    b'{"model": "org/first", "text": "\xff"}',
    b'{"model": "org/first", "text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("body", _TRUNCATED, ids=lambda body: repr(body[:20]))
def test_what_is_no_such_body_is_refused(body: bytes) -> None:
    async def scene(server: Operated) -> None:
        for path in ("tokenize", "generate", "render", "detokenize"):
            reply = await asked_with(server, BEARER, path=f"/engine/{path}", body=[body])
            assert reply.status == 400
            assert isinstance(refused(reply), ValidationError)
        assert server.services.models.status().models == ()

    operated(scene, OPTIONS)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@",
        "../../etc/passwd",
        "org/first@",
        "org/first@" + "0" * 40,
        "x" * 100_000,
        "org/first\n",
        "-",
        "org/first@-",
    ],
)
def test_what_is_no_model_of_the_server_is_refused(reference: str) -> None:
    async def scene(server: Attached) -> None:
        bodies: dict[str, dict[str, object]] = {
            "open": {},
            "tokenize": {"text": ""},
            "generate": {"request": {"prompt": [1], "max_tokens": 1}},
            "stats": {},
            "unload": {},
        }
        for path, body in bodies.items():
            reply = await server.post(f"/engine/{path}", {"model": reference, **body})
            assert 400 <= reply.status < 500
            error = refused(reply)
            assert isinstance(error, Mlxk2Error)
            assert not isinstance(error, ServerGone)
            assert len(error.message) < 600
        assert server.services.models.status().models == ()

    attached(scene)


def test_the_key_is_never_shown(log: io.StringIO) -> None:
    async def scene(server: Attached) -> None:
        await server.post("/engine/unload", {"model": KEY})
        await asked_with(server, BEARER, path="/engine/none")
        numbers = await server.get("/metrics")
        assert KEY.encode() not in numbers.body

    assert KEY not in repr(KEYED)
    attached(scene, KEYED)
    lines = log.getvalue()
    assert "/engine/unload 404" in lines
    assert KEY not in lines


def test_the_limit_for_each_key_has_one_count_for_all_programs_of_this_user() -> None:
    """What asks no model is always possible, so that one can see what is going on, and end it."""

    async def scene(server: Attached) -> None:
        opening = asyncio.create_task(server.post("/engine/open", {"model": MODEL}))
        await server.until("loading")
        for path, body in (("/engine/open", {"model": MODEL}), ("/v1/models/load", {"model": MODEL})):
            assert (await server.post(path, body)).status == 429
        assert isinstance(refused(await server.post("/engine/open", {"model": MODEL})), Overloaded)
        assert (await server.post("/engine/status", {})).status == 200
        assert (await server.post("/engine/unload", {"model": OTHER})).status == 404
        other = await asked_with(server, (b"x-api-key", API_KEY.encode()), path="/v1/models/unload", body=[b"{}"])
        assert other.status == 400
        server.let_load.set()
        assert (await opening).status == 200

    attached(scene, replace(KEYED, per_key=1), held=True)
