"""Every answer has an id, and the headers that keep it out of caches and from being guessed at."""

import pytest
from starlette.types import Scope

from mlxk2.entrypoints.http.identity import Visit
from tests.entrypoints.http.doors.asking import HOME, JSON, ask, post
from tests.entrypoints.http.doors.rooms import behind


@pytest.mark.parametrize("given", [b"a", b"x" * 128, b"req-1/2:3;\"'<>"])
def test_a_clients_own_id_is_kept(given: bytes) -> None:
    assert ask(behind(), headers=[HOME, (b"x-request-id", given)]).header(b"x-request-id") == given


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"a\r\nb: c", b"a\tb", b"\xff", b"a\x7f"])
def test_an_id_that_is_unsafe_to_write_is_replaced(given: bytes) -> None:
    made = ask(behind(), headers=[HOME, (b"x-request-id", given)]).header(b"x-request-id")
    assert made is not None
    assert made.startswith(b"req_")


def test_two_ids_are_none() -> None:
    headers = [HOME, (b"x-request-id", b"a"), (b"x-request-id", b"b")]
    assert (ask(behind(), headers=headers).header(b"x-request-id") or b"").startswith(b"req_")


def test_ids_that_are_made_differ() -> None:
    assert ask(behind()).header(b"x-request-id") != ask(behind()).header(b"x-request-id")


@pytest.mark.parametrize("headers", [[], [(b"host", b"evil.example")], [HOME, (b"origin", b"null")], [HOME, JSON]])
def test_refusals_have_an_id_too(headers: list[tuple[bytes, bytes]]) -> None:
    reply = ask(behind(api_keys=["k"]), headers=[*headers, (b"x-request-id", b"mine")])
    assert reply.status >= 400
    assert reply.header(b"x-request-id") == b"mine"


def test_anthropics_clients_find_the_id_where_they_look_for_it() -> None:
    reply = post(behind(), b"{", (b"x-request-id", b"mine"), path="/v1/messages/missing")
    assert reply.header(b"request-id") == reply.header(b"x-request-id") == b"mine"
    assert reply.json["request_id"] == "mine"


@pytest.mark.parametrize("path", ["/v1/models", "/nothing"])
def test_answers_are_not_stored_and_not_guessed_at(path: str) -> None:
    reply = ask(behind(), path=path)
    assert reply.header(b"cache-control") == b"no-store"
    assert reply.header(b"x-content-type-options") == b"nosniff"


def test_who_keeps_books_hears_of_every_request_once() -> None:
    heard: list[tuple[str, int]] = []

    def tell(scope: Scope, visit: Visit, seconds: float) -> None:
        assert seconds >= 0
        heard.append((scope["path"], visit.status))

    app = behind(tell=[tell])
    for path in ("/v1/models", "/nothing"):
        ask(app, path=path)
    post(app, b"{}", path="/v1/broken")
    assert heard == [("/v1/models", 200), ("/nothing", 404), ("/v1/broken", 500)]
