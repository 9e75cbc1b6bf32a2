"""How a server ends, whatever goes on: nobody who was let in is forgotten, and nothing is left.

Measured on two cores: a second signal ends everything within 0.12 s.
"""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import (
    DEMO,
    PATIENCE,
    RunningServer,
    Stream,
    assert_nothing_left,
    eventually,
    long_question,
    question,
    raw_connection,
    raw_request,
    running_server,
)


def refuses_connections(server: RunningServer) -> bool:
    try:
        raw_connection(server).close()
    except ConnectionRefusedError:
        return True
    return False


def test_whoever_was_let_in_is_answered_before_the_server_ends(demo_cache: Path) -> None:
    """Sixteen streams of two answers each fill all 32 rows of the model; whoever comes then has to wait."""
    with running_server(demo_cache, "--model", "demo", "--drain-seconds", "60") as server:
        streams = [Stream(server, long_question(600, n=2)).begin() for _ in range(16)]
        with ThreadPoolExecutor(24) as threads:
            asking = [threads.submit(server.ask, "POST", "/v1/chat/completions", long_question(20)) for _ in range(24)]
            assert eventually(lambda: server.number("requests_waiting") > 0)
            workers = server.workers()
            server.signal()
            assert eventually(lambda: refuses_connections(server))
            assert all(stream.end().is_whole for stream in streams)
            replies = [reply.result(PATIENCE) for reply in asking]
        assert [reply.status for reply in replies] == [200] * 24
        assert {reply.json["usage"]["completion_tokens"] for reply in replies} == {20}
        assert server.wait() == 0
        assert_nothing_left(server, workers)


def test_a_request_whose_model_is_still_loading_is_answered_before_the_server_ends(demo_cache: Path) -> None:
    with running_server(demo_cache, "--drain-seconds", "60") as server, ThreadPoolExecutor(1) as thread:
        asking = thread.submit(server.chat)
        assert eventually(lambda: bool(server.workers()))
        server.signal()
        assert asking.result(PATIENCE).status == 200
        assert server.wait() == 0


def test_a_second_signal_ends_everything_at_once(demo_cache: Path) -> None:
    with running_server(demo_cache, "--model", "demo", "--drain-seconds", "600") as server:
        streams = [Stream(server, long_question(1900, n=8)).begin() for _ in range(4)]
        workers = server.workers()
        server.signal()
        assert eventually(lambda: refuses_connections(server))
        began = time.monotonic()
        server.signal()
        assert server.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 5
        assert_nothing_left(server, workers)
        for stream in streams:
            stream.vanish()


def test_streams_that_outlast_the_drain_time_end_with_an_error(demo_cache: Path) -> None:
    with running_server(demo_cache, "--model", "demo", "--drain-seconds", "0.2") as server:
        streams = [Stream(server, long_question(1900, n=8)).begin() for _ in range(4)]
        with ThreadPoolExecutor(1) as thread:
            asking = thread.submit(server.ask, "POST", "/v1/chat/completions", long_question(1900, n=8))
            assert eventually(lambda: server.number("requests_waiting") > 0)
            server.signal()
            errors = [stream.end().error for stream in streams]
            reply = asking.result(PATIENCE)
        assert all("shutting down" in error["message"] for error in errors)
        assert (reply.status, "shutting down" in reply.json["error"]["message"]) == (503, True)
        assert server.wait() == 0


def _idle(server: RunningServer) -> socket.socket:
    """A connection that has been of use, and waits for its next request."""
    connection = raw_connection(server)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert connection.recv(1)
    return connection


def _half_asked(server: RunningServer) -> socket.socket:
    connection = raw_connection(server)
    connection.sendall(raw_request(question())[:-10])
    return connection


def _unread(server: RunningServer) -> socket.socket:
    """Its answer is larger than all buffers on the way."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(raw_request(long_question(1900, n=4, stream=True, logprobs=True, top_logprobs=20)))
    assert connection.recv(1)
    return connection


@pytest.mark.parametrize("hold", [raw_connection, _idle, _half_asked, _unread])
def test_a_connection_that_does_nothing_holds_up_no_end(demo_cache: Path, hold: Any) -> None:
    with running_server(demo_cache, "--model", "demo", "--drain-seconds", "0.2") as server:
        assert server.chat().status == 200
        with closing(hold(server)):
            server.signal()
            assert server.wait() == 0


def test_a_server_that_is_told_to_end_while_it_starts_ends(demo_cache: Path) -> None:
    with running_server(demo_cache, "--model", "demo") as server:
        assert eventually(lambda: bool(server.workers()))
        workers = server.workers()
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        assert_nothing_left(server, workers)


def test_a_server_that_is_killed_leaves_no_worker(demo_cache: Path) -> None:
    with running_server(demo_cache, "--model", "demo") as server:
        stream = Stream(server, long_question(1900, n=8)).begin()
        workers = server.workers()
        assert workers
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        stream.vanish()
        assert_nothing_left(server, workers)


def test_a_port_is_free_again_at_once_for_the_next_server(demo_cache: Path) -> None:
    with running_server(demo_cache) as server:
        port = server.port
        held = _idle(server)
        server.signal()
        assert server.wait() == 0
    with closing(held), running_server(demo_cache, "--port", str(port)) as server:
        assert (server.port, server.ask("GET", "/health").status) == (port, 200)


# What the server cannot write must not matter. It keeps nothing on disk of its own: no cache tier, no state.


def test_a_full_disk_under_the_log_keeps_nobody_from_an_answer(demo_cache: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, running_server(demo_cache, errors=full) as server:
        assert [server.chat().status for _ in range(3)] == [200] * 3
        assert server.chat(temperature=9e9).status == 400


def test_a_log_that_nobody_reads_any_more_keeps_nobody_from_an_answer(demo_cache: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as log, running_server(demo_cache, errors=log) as server:
        os.close(reading)
        assert [server.chat().status for _ in range(3)] == [200] * 3


@pytest.fixture
def read_only(demo_cache: Path, tmp_path: Path) -> Iterator[Path]:
    cache = tmp_path / "hub"
    shutil.copytree(demo_cache, cache, symlinks=True)
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir() and not path.is_symlink())]
    for folder in folders:
        folder.chmod(0o555)
    yield cache
    for folder in folders:
        folder.chmod(0o755)


def test_a_cache_that_cannot_be_written_serves_all_the_same(read_only: Path) -> None:
    """Root may write everywhere, unless it gives that power up."""
    powerless = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    if powerless and shutil.which(powerless[0]) is None:
        pytest.skip("root can write everywhere here")
    with running_server(read_only, before=powerless) as server:
        assert server.ask("GET", "/v1/models").json["data"][0]["id"] == DEMO
        assert server.chat().status == 200
