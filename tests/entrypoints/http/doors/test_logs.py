"""The log says what happened to each request, on one line, and nothing of what was said."""

import io
import json
import logging
from typing import Any, Literal

import pytest

from mlxk2.entrypoints.http.logs import LogLevel, log_request, printable, start_log
from tests.entrypoints.http.doors.asking import HOME, ask, post
from tests.entrypoints.http.doors.rooms import WHISPER, behind

pytestmark = pytest.mark.usefixtures("log")


def _log(form: Literal["text", "json"], level: LogLevel = "info") -> io.StringIO:
    stream = io.StringIO()
    start_log(level, form, stream)
    return stream


def _entries(stream: io.StringIO) -> list[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_of_json() -> None:
    stream = _log("json")
    ask(behind(tell=[log_request]), headers=[HOME, (b"x-request-id", b"mine")])
    (entry,) = _entries(stream)
    told = entry["request"]
    assert (told["method"], told["path"], told["status"], told["request_id"], told["client"]) == (
        "GET", "/v1/models", 200, "mine", "local",
    )  # fmt: skip
    assert told["seconds"] >= 0
    assert entry["level"] == "info"


def test_a_request_is_one_line_of_text() -> None:
    stream = _log("text")
    ask(behind(tell=[log_request]), headers=[HOME, (b"x-request-id", b"mine")])
    (line,) = stream.getvalue().splitlines()
    assert " info GET /v1/models 200 " in line
    assert line.endswith("mine local")


@pytest.mark.parametrize("form", ["text", "json"])
def test_neither_key_nor_body_nor_headers_come_into_the_log(form: Literal["text", "json"]) -> None:
    stream = _log(form, "debug")
    app = behind(tell=[log_request], api_keys=["my-own-key"])
    post(app, b'{"prompt":"whisper"}', (b"authorization", b"Bearer my-own-key"), (b"cookie", b"crumbs"))
    post(app, b'{"prompt":"whisper"}', (b"authorization", b"Bearer wrong-key"))
    assert stream.getvalue().count("/v1/echo") == 2
    for hidden in ("my-own-key", "wrong-key", "whisper", "crumbs"):
        assert hidden not in stream.getvalue()


def test_the_key_is_told_by_its_label() -> None:
    stream = _log("json")
    post(behind(tell=[log_request], api_keys=["my-own-key"]), b"{}", (b"x-api-key", b"my-own-key"))
    assert _entries(stream)[0]["request"]["client"].startswith("key-")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_defect_shows_where_it_was_and_not_what_was_asked(form: Literal["text", "json"]) -> None:
    stream = _log(form)
    post(behind(tell=[log_request]), b"{}", (b"x-request-id", b"mine"), path="/v1/broken")
    assert "Request mine failed" in stream.getvalue()
    assert "rooms.py" in stream.getvalue()
    assert "builtins.KeyError" in stream.getvalue()
    assert WHISPER not in stream.getvalue()


def test_a_failure_of_a_library_does_not_tell_what_was_asked_either() -> None:
    stream = _log("text")
    try:
        try:
            raise ValueError(WHISPER)
        except ValueError as cause:
            raise RuntimeError(WHISPER) from cause
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert "ValueError" in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()
    assert WHISPER not in stream.getvalue()


@pytest.mark.parametrize("path", ["/x\n2026-01-01 info GET /fake 200", "/\x1b[2J", "/\r", "/\u2028", "/\x00"])
def test_a_path_stays_on_its_line(path: str) -> None:
    stream = _log("text")
    ask(behind(tell=[log_request]), path=path)
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().removesuffix("\n").isprintable()


def test_a_long_path_is_cut() -> None:
    stream = _log("text")
    ask(behind(tell=[log_request]), path="/" + "x" * 10_000)
    assert len(stream.getvalue()) < 500


def test_what_a_machine_asks_all_the_time_is_for_debugging() -> None:
    quiet, loud = _log("text", "info"), None
    ask(behind(tell=[log_request]), path="/health")
    loud = _log("text", "debug")
    ask(behind(tell=[log_request]), path="/health")
    assert quiet.getvalue() == ""
    assert "/health" in loud.getvalue()


def test_a_server_that_tells_errors_only_tells_no_requests() -> None:
    stream = _log("text", "error")
    ask(behind(tell=[log_request]))
    assert stream.getvalue() == ""


def test_the_http_library_speaks_through_the_same_log_and_only_when_something_is_wrong() -> None:
    stream = _log("json")
    logging.getLogger("uvicorn.error").info("Uvicorn running on %s", "http://127.0.0.1:8000")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert [entry["message"] for entry in _entries(stream)] == ["Invalid HTTP request received."]


def test_starting_the_log_again_does_not_double_it() -> None:
    _log("json")
    stream = _log("json")
    logging.getLogger("mlxk2.http").warning("once")
    assert len(_entries(stream)) == 1


def test_printable_text_is_left_as_it_is() -> None:
    assert printable("/v1/models/Ünïcode 模型") == "/v1/models/Ünïcode 模型"
