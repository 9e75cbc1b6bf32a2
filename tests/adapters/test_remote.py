"""The way to a running server when something is wrong with it: what is said there, or that nothing is said any more."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from mlxk2.adapters.remote import streams
from mlxk2.adapters.remote.attachment import HttpAttachment
from mlxk2.adapters.remote.engine import RemoteEngine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import EngineInfo, unwatched
from mlxk2.ports.errors import (
    EngineFailure,
    Mlxk2Error,
    ModelNotFound,
    NotEnoughMemory,
    Overloaded,
    ServerGone,
    ValidationError,
)
from mlxk2.ports.generation import Delta, Failed, FinishReason, GenerationRequest
from mlxk2.ports.held import Held
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts.engine.listening import Listener, eventually
from tests.adapters.scripted_server import (
    END,
    HOLD,
    KEY,
    STREAM,
    chunk,
    scripted,
    scripted_by_path,
    whole,
)

MODEL = f"org/model@{'1' * 40}"
REQUEST = GenerationRequest((1, 2, 3), 5)
INFO = EngineInfo(has_chat_template=True, has_thinking_switch=False, vocab_size=100)
HELD = whole(b'{"models":[],"memory_limit":null,"memory_taken":0,"waiting":0}')
DELTA = chunk(b'{"delta":["a",1,[7]]}\n')
FAILED = b'{"failed":["NotEnoughMemory","It does not fit",null,[20,10]]}\n'


def engine_at(server: RunningServer) -> RemoteEngine:
    return RemoteEngine(server, MODEL, INFO, unwatched)


def held_at(server: RunningServer) -> Held:
    return HttpAttachment().held(server)


def threads_of_engines() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "remote-engine"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert eventually(lambda: not threads_of_engines())


def test_a_request_is_sent_with_the_key_to_the_address_of_the_record() -> None:
    with scripted(HELD) as scripted_one:
        assert held_at(scripted_one.server) == Held((), None, 0, 0)
    ((path, headers, body),) = scripted_one.requests
    assert path == "/engine/status"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["host"] == f"127.0.0.1:{scripted_one.server.port}"
    assert json.loads(body) == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:80",
        "http://example.org:80",
        "http://localhost:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1.example.org:80",
        "http://127.0.0.1@10.0.0.1:80",
        "http://127.0.0.1:80@10.0.0.1:80",
        "http://127.0.0.1:80/",
        "http://127.0.0.1:80\n",
        "http://[::2]:80",
        "http://128.0.0.1:80",
        "http://127.1:80",
        "http://127.0.0.1",
        "127.0.0.1:80",
        "",
    ],
)
def test_the_key_goes_to_no_address_that_is_not_loopback(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    with scripted(HELD) as scripted_one, pytest.raises(ServerGone, match="no loopback address"):
        held_at(replace(scripted_one.server, url=url))
    assert asked == []


@pytest.mark.parametrize("key", ["", "a\r\nX: y", "a key", "ké", "a\0"])
def test_a_key_that_is_no_word_is_not_sent(key: str) -> None:
    with scripted(HELD) as scripted_one, pytest.raises(ServerGone):
        held_at(replace(scripted_one.server, key=key))
    assert scripted_one.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.999.0.1:80"])
def test_an_address_where_nobody_can_be_is_gone(url: str) -> None:
    server = RunningServer(url, KEY, 1, 1, "/cache", "1.0", 0.0, "/log")
    with pytest.raises(ServerGone):
        held_at(server)


def test_the_other_loopback_address_is_asked_too() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        port: int = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(HELD)

        thread = threading.Thread(target=answer)
        thread.start()
        server = RunningServer(f"http://[::1]:{port}", KEY, 1, port, "/cache", "1.0", 0.0, "/log")
        assert held_at(server).models == ()
        thread.join()


def test_nobody_listens_where_a_server_was() -> None:
    with scripted() as scripted_one:
        pass
    with pytest.raises(ServerGone, match="cannot be reached"):
        held_at(scripted_one.server)
    error = Listener(engine_at(scripted_one.server), REQUEST).failure()
    assert isinstance(error, ServerGone)


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "a head without its end": b"HTTP/1.1 200 OK\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "an odd length": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(10_000),
    "an endless line": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200,
    "no status": b"HTTP/1.1 fine\r\n\r\n",
    "half a chunk": STREAM + b"10\r\n{",
    "no chunk": STREAM + b"many\r\n",
    "a chunk beyond all bounds": STREAM + b"ffffffffffff\r\n",
    "a chunk of less than nothing": STREAM + b"-5\r\n",
    "no last chunk": STREAM + chunk(b"{}\n"),
    "no JSON": STREAM + chunk(b"{]\n") + END,
    "no line": STREAM + chunk(b"[1]\n") + END,
    "an unknown error": STREAM + chunk(b'{"failed":["Surprise","it is",null,[]]}\n') + END,
    "an error without its values": STREAM + chunk(b'{"failed":["RateLimited","it is",null,[]]}\n') + END,
    "a number too large": STREAM + chunk(b'{"delta":["",1e999]}\n') + END,
    "deep nesting": STREAM + chunk(b'{"delta":' + b"[" * 100_000 + b"\n") + END,
    "no end": STREAM + chunk(b"{}\n") + END,
    "JSON of something else": whole(b'{"detail":"Not Found"}'),
    "a page": whole(b"<html></html>", 404),
    "unwelcome": whole(b'{"error":{"message":"Who are you?"}}', 401),
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
def test_whatever_is_said_instead_of_an_answer_the_server_counts_as_gone(said: bytes) -> None:
    with scripted(said) as scripted_one, closing(engine_at(scripted_one.server)) as engine:
        error = Listener(engine, REQUEST).failure()
        assert isinstance(error, ServerGone), error
        assert "\n" not in error.message
        assert KEY not in error.message
        asks: list[Callable[[], object]] = [
            lambda: engine.render([Message("user", "hello")]),
            lambda: HttpAttachment().open(scripted_one.server, MODEL),
        ]
        for ask in asks:
            with pytest.raises(ServerGone):
                ask()
        assert engine.stats().steps == 0


@pytest.mark.parametrize("said", [DELTA, DELTA + END], ids=["in the middle of the stream", "after a whole reply"])
def test_a_server_that_dies_in_the_middle_fails_the_request_after_what_it_has_said(said: bytes) -> None:
    with scripted(STREAM, said) as scripted_one:
        listener = Listener(engine_at(scripted_one.server), REQUEST)
        assert isinstance(listener.failure(), ServerGone)
        assert [type(event) for event in listener.events] == [Delta, Failed]


def test_a_server_that_has_hung_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAM_SECONDS", 0.1)
    with scripted(STREAM, DELTA, HOLD) as scripted_one:
        listener = Listener(engine_at(scripted_one.server), REQUEST)
        error = listener.failure()
        assert isinstance(error, ServerGone)
        assert "nothing has come for too long" in error.message
        assert scripted_one.was_left.wait(60)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_error_that_the_server_tells_is_raised_as_what_it_is(status: int) -> None:
    said = STREAM.replace(b"200", str(status).encode()) + chunk(FAILED) + END
    with scripted(said) as scripted_one:
        error = Listener(engine_at(scripted_one.server), REQUEST).failure()
        assert isinstance(error, NotEnoughMemory)
        assert (error.message, error.needed_bytes, error.limit_bytes) == ("It does not fit", 20, 10)
        with pytest.raises(NotEnoughMemory):
            HttpAttachment().open(scripted_one.server, MODEL)


def test_what_comes_before_an_error_is_heard() -> None:
    with scripted(STREAM, DELTA, chunk(FAILED), END) as scripted_one:
        listener = Listener(engine_at(scripted_one.server), REQUEST)
        assert isinstance(listener.failure(), NotEnoughMemory)
        assert listener.text == "a"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(413, ValidationError), (429, Overloaded), (503, Overloaded), (500, EngineFailure), (403, ServerGone)],
)
def test_a_refusal_of_the_layers_before_is_told_in_their_words(status: int, kind: type[Mlxk2Error]) -> None:
    refusal = whole(b'{"error":{"message":"No, because."}}', status)
    with scripted(refusal) as scripted_one, pytest.raises(kind, match=r"No, because\."):
        held_at(scripted_one.server)


def test_a_call_is_refused_as_the_server_says() -> None:
    refusal = whole(b'{"failed":["ModelNotFound","None such",null,[]]}', 404)
    with scripted(refusal) as scripted_one, pytest.raises(ModelNotFound, match="None such"):
        engine_at(scripted_one.server).tokenize("hello")


def test_lines_may_come_in_any_pieces() -> None:
    text = b'{"stage":"a"}\n{}\n{"delta":["\xc3\xa9",1,[7]]}\n{"finished":["stop",3,1,0.1,0.2]}\n'
    with scripted(STREAM, *(chunk(bytes([byte])) for byte in text)) as scripted_one:
        listener = Listener(engine_at(scripted_one.server), REQUEST)
        assert listener.finished().reason is FinishReason.STOP
        assert listener.text == "é"


def test_to_cancel_hangs_up() -> None:
    with scripted(STREAM, DELTA, HOLD) as scripted_one:
        engine = engine_at(scripted_one.server)
        listener = Listener(engine, REQUEST)
        listener.wait_for(Delta)
        engine.cancel(listener.request_id)
        assert (listener.finished().reason, listener.finished().generated_tokens) == (FinishReason.CANCELLED, 1)
        assert scripted_one.was_left.wait(60)


@pytest.mark.parametrize("place", ["before the head", "in the stream"])
def test_closing_ends_every_thread_and_connection(place: str) -> None:
    words = [HOLD] if place == "before the head" else [STREAM, DELTA, HOLD]
    with scripted(*words) as scripted_one:
        engine = engine_at(scripted_one.server)
        listeners = [Listener(engine, REQUEST) for _ in range(3)]
        assert eventually(lambda: len(scripted_one.requests) == 3)
        engine.close()
        assert not threads_of_engines()
        assert {listener.finished().reason for listener in listeners} == {FinishReason.CANCELLED}
        assert scripted_one.was_left.wait(60)
        with pytest.raises(EngineFailure, match="closed"):
            engine.tokenize("hello")


def test_a_sink_may_close_the_engine() -> None:
    with scripted(STREAM, DELTA, HOLD) as scripted_one:
        engine = engine_at(scripted_one.server)
        closed = threading.Event()

        def sink(_: object) -> None:
            engine.close()
            closed.set()

        engine.start(REQUEST, sink)
        assert closed.wait(60)


def test_a_watch_hears_of_loading_until_the_model_is_there() -> None:
    said = [b'{"stage":"weights"}\n{}\n', b'{"stage":"warm"}\n', b'{"opened":[[true,false,9],77]}\n']
    stages: list[object] = []
    with scripted(STREAM, *map(chunk, said), END) as scripted_one:
        engine, budget = HttpAttachment().open(
            scripted_one.server, MODEL, lambda seen: stages.append(getattr(seen, "stage", None))
        )
    assert stages == ["weights", "warm"]
    assert (engine.info().vocab_size, budget) == (9, 77)
    ((path, _, body),) = scripted_one.requests
    assert (path, json.loads(body)) == ("/engine/open", {"model": MODEL})


@pytest.mark.parametrize("text", ["half a pair \ud83d", "\udcff"])
def test_what_json_cannot_hold_is_not_sent(text: str) -> None:
    with scripted_by_path(lambda _: ()) as scripted_one:
        engine = engine_at(scripted_one.server)
        with pytest.raises(ValidationError):
            engine.render([Message("user", text)])
        assert scripted_one.requests == []


def test_numbers_are_the_last_that_were_told() -> None:
    told = iter((whole(b"[0,0,1,5]"), whole(b"{}", 500)))
    with scripted_by_path(lambda _: (next(told),)) as scripted_one:
        engine = engine_at(scripted_one.server)
        assert [engine.stats().steps, engine.stats().steps] == [5, 5]
        engine.close()
        assert engine.stats().steps == 5
    assert len(scripted_one.requests) == 2


def test_attaching_imports_neither_a_server_nor_what_the_standard_library_has_for_http() -> None:
    code = "import sys, mlxk2.adapters.remote.attachment, mlxk2.adapters.remote.opening; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in said.split()}
    assert not loaded & {
        "asyncio",
        "starlette",
        "uvicorn",
        "http",
        "ssl",
        "email",
        "httpx",
        "mlx",
        "msgspec",
        "dependency_injector",
    }


def test_a_request_to_a_server_is_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with scripted(HELD) as scripted_one:
        assert held_at(scripted_one.server).waiting == 0


def test_looking_at_what_a_server_holds_needs_no_engine() -> None:
    code = "import sys, mlxk2.adapters.remote.attachment; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mlxk2.ports.engine", "mlxk2.ports.generation", "mlxk2.ports.conversation"} & set(loaded)
