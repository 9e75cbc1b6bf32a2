"""Web pages and names of other people's do not get in."""

import pytest

from mlxk2.entrypoints.http.guard import HostRule, OriginRule, is_loopback
from mlxk2.ports.errors import ValidationError
from tests.entrypoints.http.doors.asking import HOME, JSON, ask, post
from tests.entrypoints.http.doors.rooms import behind

PAGE = b"https://chat.example.org"


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:8000", b"[::1]:8000", b"localhost.:8000"])
def test_the_machines_own_names_are_answered_with_any_port(host: bytes) -> None:
    assert ask(behind(), headers=[(b"host", host)]).status == 200


@pytest.mark.parametrize(
    "host", [b"evil.example", b"127.0.0.1.evil.example", b"192.168.1.5:8000", b"localhost.evil.example"]
)
def test_a_name_that_was_made_to_point_here_is_refused_with_the_next_step(host: bytes) -> None:
    reply = ask(behind(), headers=[(b"host", host)])
    assert reply.status == 403
    assert f"--allowed-host {host.decode().split(':')[0]}" in reply.error["message"]


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"localhost:port", b"localhost:80:80", b"user@localhost", b"localhost/x", b"[::1", b"\xff"]
)
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    assert ask(behind(), headers=[(b"host", host)]).status == 400


@pytest.mark.parametrize("headers", [[], [HOME, HOME], [HOME, (b"host", b"evil.example")]])
def test_a_request_has_exactly_one_host(headers: list[tuple[bytes, bytes]]) -> None:
    assert ask(behind(), headers=headers).status == 400


def test_an_allowed_name_is_answered_in_any_case() -> None:
    assert ask(behind(allowed_hosts=["Box.lan"]), headers=[(b"host", b"box.LAN:9")]).status == 200


def test_a_name_that_is_allowed_with_a_port_is_not_answered_with_another() -> None:
    app = behind(allowed_hosts=["box.lan:8000"])
    assert ask(app, headers=[(b"host", b"box.lan:8000")]).status == 200
    assert ask(app, headers=[(b"host", b"box.lan:8001")]).status == 403


@pytest.mark.parametrize("host", [b"192.168.1.5:8000", b"[fe80::1]:8000"])
def test_a_server_for_other_machines_answers_to_every_address_but_not_to_every_name(host: bytes) -> None:
    app = behind(host="0.0.0.0", api_keys=["a-key"])  # noqa: S104 - what is tested
    key = (b"x-api-key", b"a-key")
    assert ask(app, headers=[(b"host", host), key]).status == 200
    assert ask(app, headers=[(b"host", b"evil.example"), key]).status == 403


def test_a_host_to_allow_must_be_one() -> None:
    with pytest.raises(ValidationError, match="--allowed-host"):
        HostRule("127.0.0.1", ["http://box.lan"])


@pytest.mark.parametrize("origin", [b"http://127.0.0.1:8000", b"HTTP://127.0.0.1:8000"])
def test_the_servers_own_pages_may_ask(origin: bytes) -> None:
    assert ask(behind(), headers=[HOME, (b"origin", origin)]).status == 200


def test_the_port_that_a_scheme_implies_need_not_be_written() -> None:
    assert ask(behind(), headers=[(b"host", b"localhost:80"), (b"origin", b"http://localhost")]).status == 200


@pytest.mark.parametrize("origin", [PAGE, b"null", b"http://localhost:3000", b"https://127.0.0.1:8000", b"", b"\xff"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_pages_of_other_origins_may_not_ask_whatever_the_method(origin: bytes, method: str) -> None:
    reply = ask(behind(), method, "/v1/models", [HOME, JSON, (b"origin", origin)])
    assert reply.status == 403
    assert reply.header(b"access-control-allow-origin") is None


def test_a_listed_origin_beside_another_is_refused() -> None:
    app = behind(cors_origins=[PAGE.decode()])
    assert ask(app, headers=[HOME, (b"origin", PAGE), (b"origin", b"null")]).status == 403


def test_what_a_browser_calls_cross_site_is_refused_without_an_origin_too() -> None:
    assert ask(behind(), headers=[HOME, (b"sec-fetch-site", b"cross-site")]).status == 403
    assert ask(behind(), headers=[HOME, (b"sec-fetch-site", b"none")]).status == 200


def test_a_listed_page_may_read_the_answer() -> None:
    reply = ask(
        behind(cors_origins=[PAGE.decode() + "/"]),
        headers=[HOME, (b"origin", PAGE), (b"sec-fetch-site", b"cross-site")],
    )
    assert reply.status == 200
    assert reply.header(b"access-control-allow-origin") == PAGE
    assert reply.header(b"vary") == b"Origin"
    assert reply.header(b"access-control-allow-credentials") is None


def test_a_listed_page_may_read_errors_too() -> None:
    app = behind(cors_origins=[PAGE.decode()], api_keys=["a-key"])
    reply = ask(app, headers=[HOME, (b"origin", PAGE)])
    assert (reply.status, reply.header(b"access-control-allow-origin")) == (401, PAGE)


def test_a_preflight_of_a_listed_page_is_answered_without_a_key() -> None:
    app = behind(cors_origins=[PAGE.decode()], api_keys=["a-key"])
    wanted = (b"access-control-request-headers", b"authorization, x-stainless-os")
    headers = [HOME, (b"origin", PAGE), (b"access-control-request-method", b"POST"), wanted]
    reply = ask(app, "OPTIONS", "/v1/echo", headers)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.header(b"access-control-allow-origin") == PAGE
    assert b"POST" in (reply.header(b"access-control-allow-methods") or b"")
    assert reply.header(b"access-control-allow-headers") == wanted[1]


def test_a_preflight_of_a_page_on_the_internet_may_reach_the_local_network_when_listed() -> None:
    asks = (b"access-control-request-private-network", b"true")
    headers = [HOME, (b"origin", PAGE), (b"access-control-request-method", b"POST"), asks]
    reply = ask(behind(cors_origins=[PAGE.decode()]), "OPTIONS", "/v1/echo", headers)
    assert reply.header(b"access-control-allow-private-network") == b"true"


def test_any_page_is_admitted_only_where_keys_are_required_and_without_credentials() -> None:
    with pytest.raises(ValidationError, match="--cors-origin"):
        behind(cors_origins=["*"])
    reply = ask(
        behind(cors_origins=["*"], api_keys=["a-key"]), headers=[HOME, (b"origin", PAGE), (b"x-api-key", b"a-key")]
    )
    assert reply.status == 200
    assert reply.header(b"access-control-allow-origin") == b"*"
    assert reply.header(b"access-control-allow-credentials") is None


def test_a_page_without_an_origin_is_refused_even_where_any_page_is_admitted() -> None:
    assert ask(behind(cors_origins=["*"], api_keys=["k"]), headers=[HOME, (b"origin", b"null")]).status == 403


@pytest.mark.parametrize(
    "origin", ["null", "chat.example.org", "https://chat.example.org/path", "https://*.example.org"]
)
def test_an_origin_to_list_must_be_one(origin: str) -> None:
    with pytest.raises(ValidationError, match="--cors-origin"):
        OriginRule([origin], has_keys=True)


@pytest.mark.parametrize(
    "kind", [b"application/json", b"application/json; charset=utf-8", b'APPLICATION/JSON;charset="UTF-8"']
)
def test_a_body_is_read_when_it_is_json(kind: bytes) -> None:
    assert ask(behind(), "POST", "/v1/echo", [HOME, (b"content-type", kind)], [b"{}"]).status == 200


@pytest.mark.parametrize(
    "kinds", [[], [b"text/plain"], [b"application/x-www-form-urlencoded"], [b"application/json; charset=utf-16"],
              [b"application/jsonp"], [b"application/json, text/plain"], [b"application/json", b"text/plain"]],
)  # fmt: skip
def test_a_form_or_plain_text_is_not_read(kinds: list[bytes]) -> None:
    reply = ask(behind(), "POST", "/v1/echo", [HOME, *((b"content-type", kind) for kind in kinds)], [b"{}"])
    assert reply.status == 415
    assert "Content-Type: application/json" in reply.error["message"]


def test_a_compressed_body_is_not_read() -> None:
    assert post(behind(), b"{}", (b"content-encoding", b"gzip")).status == 415


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LocalHost", "::ffff:127.0.0.1"]
)
def test_an_address_of_this_machine_alone_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "box.lan", "127.0.0.1.evil.example"])  # noqa: S104
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)
