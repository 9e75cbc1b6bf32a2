"""A server as a user starts it, in a process of its own; when it has ended, nothing of it is left.

Clients here speak HTTP with their own bytes, so that they can do what no client library does. Every wait has an end.
"""

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import IO, Any

from tests.e2e.conftest import MLXK2, environment

PATIENCE = 60.0
"""Seconds that anything may take before it counts as hung."""
SERVE = (str(MLXK2), "serve", "--port", "0", "--json")
DEMO = "mlxk2/demo"
OTHER = "other/demo"
NEVER_ENDS = {"0": -100, "2": -100}
"""As `logit_bias`: the demo model's end tokens, so that an answer goes on to its `max_tokens`."""

Document = Any


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Document:
        return json.loads(self.body)


class RunningServer:
    """One server process. `url` has no slash at its end."""

    def __init__(self, process: "subprocess.Popen[str]", log: IO[bytes]) -> None:
        self._log = log
        self.process = process
        said = self._first_line()
        assert '"success"' in said, f"the server did not start: {said} {self.log()}"
        data = json.loads(said)["data"]
        self.url: str = data["url"]
        self.port: int = data["port"]
        self.pid: int = data["pid"]

    def _first_line(self) -> str:
        alarm = threading.Timer(PATIENCE, self.process.kill)
        alarm.start()
        try:
            assert self.process.stdout is not None
            return self.process.stdout.readline()
        finally:
            alarm.cancel()

    def log(self) -> str:
        """All that the server has written to its standard error."""
        self._log.seek(0)
        return self._log.read().decode()

    def workers(self) -> set[int]:
        """The processes that the server has started and that are alive."""
        return {pid for pid, parent in _living().items() if parent == self.pid}

    def ask(self, method: str, path: str, body: Document = None, headers: Mapping[str, str] | None = None) -> Reply:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            content = None if body is None else json.dumps(body)
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, content, {**kind, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())

    def chat(self, text: str = "hello", model: str = DEMO, **more: Document) -> Reply:
        return self.ask("POST", "/v1/chat/completions", question(text, model, **more))

    def numbers(self) -> dict[str, float]:
        """What `/metrics` says: samples by name and labels, as they are written there."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def number(self, name: str, model: str = DEMO) -> float:
        return self.numbers().get(f'mlxk2_{name}{{model="{model}"}}', 0.0)

    def state(self, model: str = DEMO) -> Document:
        """What `/v1/models/load` says of the model, which is loaded if it was not."""
        (state,) = self.ask("POST", "/v1/models/load", {"model": model}).json["models"]
        return state

    def is_at_rest(self, model: str = DEMO) -> bool:
        """Whether nobody asks the model for anything, and nothing of a request is left."""
        state, numbers = self.state(model), self.numbers()
        counts = [numbers[f'mlxk2_{name}{{model="{model}"}}'] for name in ("requests_waiting", "requests_running")]
        kept = numbers[f'mlxk2_model_kv_bytes{{model="{model}"}}']
        return not any((state["busy"], state["waiting"], *counts, numbers["mlxk2_requests_without_model"], kept))

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Until the process has ended: its exit code."""
        return self.process.wait(PATIENCE)


@contextmanager
def running_server(
    cache: Path, *flags: str, errors: IO[bytes] | None = None, before: tuple[str, ...] = (), **variables: str
) -> Iterator[RunningServer]:
    """Ends it with SIGTERM if the test has not; then no worker is alive and the port is free.

    `errors` is its standard error, where that is no file to be read; `before` is a command that starts the server's.
    """
    nowhere = str(cache.parent / "no-configuration")
    own = {name: value for name, value in environment(cache).items() if not name.startswith("MLXK2_")}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [*before, *SERVE, *flags],
            env={**own, "XDG_CONFIG_HOME": nowhere, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors or log,
            text=True,
        ) as process,
    ):
        try:
            server = RunningServer(process, log)
            yield server
            workers = server.workers()
            if process.poll() is None:
                server.signal()
                assert server.wait() == 0, server.log()
        finally:
            process.kill()
        assert "Traceback" not in server.log(), server.log()
        assert_nothing_left(server, workers)


def assert_nothing_left(server: RunningServer, workers: set[int]) -> None:
    """Of a server that has ended, and of the workers that it had."""
    assert eventually(lambda: not workers & set(_living())), "a worker has outlived its server"
    socket.create_server(("127.0.0.1", server.port)).close()


def _living() -> dict[int, int]:
    """All processes that have not ended, each with its parent."""
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in told.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether it becomes true: for what the server does a little after it has answered."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.05) for _ in range(int(seconds * 20)))


def two_models(demo_cache: Path, root: Path) -> Path:
    """A cache with the demo model under its own name and as `OTHER`: two models to the server."""
    shutil.copytree(demo_cache, root, symlinks=True)
    shutil.copytree(root / "models--mlxk2--demo", root / "models--other--demo", symlinks=True)
    return root


def question(text: str = "hello", model: str = DEMO, **more: Document) -> Document:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def long_question(tokens: int, text: str = "hello", model: str = DEMO, **more: Document) -> Document:
    """Its answer has so many tokens, no more and no fewer."""
    return question(text, model, max_tokens=tokens, logit_bias=NEVER_ENDS, **more)


class Stream:
    """A request over a connection of its own, whose answer comes in pieces."""

    def __init__(self, server: RunningServer, body: Document, path: str = "/v1/chat/completions") -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.connection.request(
            "POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json"}
        )
        self.text = ""
        self.error: Document = None
        self.finish: str | None = None
        self._response: HTTPResponse | None = None
        self._events = self._all()

    def begin(self) -> "Stream":
        """Waits until the first text is there."""
        while not self.text and self.error is None:
            self._read(next(self._events))
        return self

    def end(self) -> "Stream":
        """Reads the rest."""
        for event in self._events:
            self._read(event)
        self.vanish()
        return self

    @property
    def is_whole(self) -> bool:
        return self.finish is not None and self.error is None

    def vanish(self) -> None:
        """Closes the connection without a word, whether or not the server is still writing."""
        if self._response is not None:
            self._response.close()
        self.connection.close()

    def _all(self) -> Iterator[Document]:
        """Raises AssertionError for a stream that does not end as it should."""
        self._response = response = self.connection.getresponse()
        if response.status != 200:
            yield json.loads(response.read())
            return
        for line in response:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                yield event
            if line == b"data: [DONE]\n" or self.error is not None:
                response.read()
                return
        raise AssertionError("the stream ended without an end")

    def _read(self, event: Document) -> None:
        self.error = event.get("error", self.error)
        for choice in event.get("choices", ()):
            self.text += choice["delta"].get("content") or ""
            self.finish = choice["finish_reason"] or self.finish


def raw_connection(server: RunningServer) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    connection.settimeout(PATIENCE)
    return connection


def raw_request(body: Document, path: str = "/v1/chat/completions") -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
