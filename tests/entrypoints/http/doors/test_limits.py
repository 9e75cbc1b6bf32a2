"""Nobody takes more than a share, and what is over is given back whatever its end was."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import ASGIApp

from mlxk2.entrypoints.http.identity import Visit
from mlxk2.entrypoints.http.limits import Limits
from tests.entrypoints.http.doors.asking import HOME, JSON, Reply, ask, asked, post
from tests.entrypoints.http.doors.rooms import Rooms, behind

MINE = (b"x-api-key", b"mine")
YOURS = (b"x-api-key", b"yours")


def _while_one_is_held(
    meanwhile: Callable[[ASGIApp], Awaitable[Reply]], keys: tuple[str, ...] = ("mine", "yours")
) -> Reply:
    async def scene() -> Reply:
        rooms, arrived = Rooms(), asyncio.Event()
        rooms.arrived = arrived.set
        app = behind(rooms, api_keys=keys, per_client=1)
        first = asyncio.create_task(asked(app, "POST", "/v1/hold", [HOME, JSON, MINE]))
        await arrived.wait()
        reply = await meanwhile(app)
        rooms.hold.set()
        assert (await first).status == 200
        return reply

    return asyncio.run(scene())


def test_a_client_at_its_limit_is_told_to_wait() -> None:
    reply = _while_one_is_held(lambda app: asked(app, "POST", "/v1/echo", [HOME, JSON, MINE], [b"{}"]))
    assert reply.status == 429
    assert reply.header(b"retry-after") == b"2"
    assert (reply.error["type"], reply.error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def test_another_key_has_its_own_share() -> None:
    reply = _while_one_is_held(lambda app: asked(app, "POST", "/v1/echo", [HOME, JSON, YOURS], [b"{}"]))
    assert reply.status == 200


def test_without_keys_everybody_on_this_machine_shares_one() -> None:
    headers = [HOME, JSON]
    reply = _while_one_is_held(lambda app: asked(app, "POST", "/v1/echo", headers, [b"{}"], ("127.0.0.9", 7)), keys=())
    assert reply.status == 429


def test_without_keys_another_machine_has_its_own_share() -> None:
    headers = [HOME, JSON]
    reply = _while_one_is_held(
        lambda app: asked(app, "POST", "/v1/echo", headers, [b"{}"], ("192.168.1.5", 7)), keys=()
    )
    assert reply.status == 200


def test_looking_at_the_server_does_not_count() -> None:
    assert _while_one_is_held(lambda app: asked(app, headers=[HOME, MINE])).status == 200


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/broken", "/v1/missing", "/v1/nothing"])
def test_what_is_over_is_given_back_whatever_its_end(path: str) -> None:
    app = behind(per_client=1)
    first = post(app, b"{}", path=path)
    assert post(app, b"{}", path=path).status == first.status != 429


def test_a_request_that_is_cancelled_is_given_back_and_nobody_is_remembered() -> None:
    async def scene() -> int:
        rooms, arrived = Rooms(), asyncio.Event()
        rooms.arrived = arrived.set
        limits = Limits(rooms.router(), 1)

        async def known(scope, receive, send):  # type: ignore[no-untyped-def]
            scope["mlxk2.visit"] = Visit("id", 0.0)
            await limits(scope, receive, send)

        task = asyncio.create_task(asked(known, "POST", "/v1/hold", [HOME, JSON]))
        await arrived.wait()
        assert limits.clients == 1
        task.cancel()
        await asyncio.wait([task])
        return limits.clients

    assert asyncio.run(scene()) == 0


def test_without_a_limit_nothing_is_counted() -> None:
    assert ask(behind(per_client=None), "POST", "/v1/echo", [HOME, JSON], [b"{}"]).status == 200
