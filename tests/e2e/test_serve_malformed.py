"""Bodies that are wrong, by thousands and by name: none costs more than its own refusal."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.malformed import GOOD, Malformed, malformed
from tests.e2e.serving import PATIENCE, Reply, RunningServer, running_server

COUNT = 10_000
SEED = 20
CONNECTIONS = 4


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(
        demo_cache, "--model", "demo", "--max-tokens-limit", "50", "--default-max-tokens", "1"
    ) as server:
        assert server.chat().status == 200
        yield server


def _sent(server: RunningServer, requests: list[Malformed]) -> list[Reply]:
    """One after the other over one connection, as long as the server keeps it open."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)) as connection:
        return [_answer(connection, request) for request in requests]


def _answer(connection: HTTPConnection, request: Malformed) -> Reply:
    connection.request("POST", request.path, request.body, request.headers)
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def _fault(request: Malformed, reply: Reply) -> str | None:
    """What is wrong with an answer; None for a good one."""
    kind = reply.headers.get("content-type", "")
    if reply.status == 200 and kind.startswith("text/event-stream"):
        return None if b'"error"' not in reply.body else "a stream that had begun ended with an error"
    if kind != "application/json":
        return f"answered as {kind!r}"
    if reply.status == 200:
        return None if isinstance(reply.json, dict) else "no object"
    if not 400 <= reply.status < 500:
        return "the server blames itself"
    return _fault_of_error(reply.json, anthropic=request.path.startswith("/v1/messages"))


def _fault_of_error(body: Any, *, anthropic: bool) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error["message"], str) or not isinstance(error["type"], str):
        return "not the API's error object"
    if anthropic:
        whole = body["type"] == "error" and isinstance(body["request_id"], str)
    else:
        whole = all(error[name] is None or isinstance(error[name], str) for name in ("param", "code"))
    return None if whole and error["message"] else "not the API's whole error object"


@pytest.mark.parametrize(("path", "body"), GOOD)
def test_what_the_malformed_bodies_are_made_of_is_good(server: RunningServer, path: str, body: Any) -> None:
    assert server.ask("POST", path, body).status == 200


def test_ten_thousand_malformed_bodies_are_refused_and_harm_nobody(server: RunningServer) -> None:
    before = server.workers()
    requests = list(malformed(COUNT, SEED))
    parts = [requests[part::CONNECTIONS] for part in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        replies = list(threads.map(_sent, [server] * CONNECTIONS, parts))
    pairs = [pair for part in zip(parts, replies, strict=True) for pair in zip(*part, strict=True)]
    faults = [(fault, request, reply) for request, reply in pairs if (fault := _fault(request, reply))]
    assert not faults, f"{len(faults)} of {COUNT}, like {faults[:3]}"
    statuses = Counter(reply.status for _, reply in pairs)
    assert statuses[400] > COUNT / 2
    assert server.workers() == before
    assert server.number("worker_restarts_total") == 0
    assert server.number("requests_running") == 0
    assert server.chat().status == 200
    assert "failed" not in server.log()
