"""The servers under test, each a process of its own on a loopback port, and the client that asks them."""

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.engine.children import Child, module
from bench.engine.exchanges import Errand, Outcome
from bench.engine.models import BenchModel
from bench.engine.prompts import Prompts
from bench.engine.requests import chat
from bench.processes import CommandFailed

IN_PROCESS, WORKER = "mlxk2, in process", "mlxk2, worker"
PEER, STOCK = "mlx_lm.server, same BLAS and type", "mlx_lm.server, stock"
_PEER_PROGRAM = """
import socketserver
socketserver.TCPServer.request_queue_size = 128
from mlx_lm.server import main
main()
"""
"""`mlx_lm.server` with a longer queue of connections, as our front has: with 5 places a volley of 32 waits a second."""
_STARTING = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    label: str
    port: int
    child: Child


class Arena:
    """Starts servers and the one client, and closes all at the end of a `with`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stack = ExitStack()
        self._client: Child | None = None
        self.prompts = Prompts()

    def __enter__(self) -> "Arena":
        self._client = self._stack.enter_context(Child("client", module("client"), self._home))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, label: str, model: BenchModel) -> Server:
        """The server, ready and warm."""
        port = _free_port()
        argv, environ = _command(label, model, port)
        child = self._stack.enter_context(Child(f"{label} {model.key}", argv, self._home, environ))
        server = Server(label, port, child)
        _await_health(server)
        for at_once in (1, 4):
            self.ask(server, Errand(port, [chat(self.prompts.take(8), 4) for _ in range(at_once)], at_once))
        return server

    def ask(self, server: Server, errand: Errand) -> Outcome:
        """Raises CommandFailed when an answer is not one."""
        if self._client is None:
            raise CommandFailed("the client is not running")
        outcome = Outcome.parse(self._client.ask(asdict(errand)))
        for answer in outcome.answers:
            if answer.error:
                raise CommandFailed(f"{server.label}: {answer.error}")
        return outcome


def same_blas() -> Mapping[str, str]:
    """The environment in which a peer computes with OpenBLAS as we do."""
    library = find_library("openblas") if sys.platform.startswith("linux") else None
    return {"LD_PRELOAD": library} if library else {}


def _command(label: str, model: BenchModel, port: int) -> tuple[tuple[str, ...], Mapping[str, str]]:
    if label in (IN_PROCESS, WORKER):
        kind = "worker" if label == WORKER else "in-process"
        return module("http_front", str(model.folder), "--engine", kind, "--port", str(port)), {}
    folder = model.stock if label == STOCK else model.folder
    argv = (sys.executable, "-c", _PEER_PROGRAM, "--model", str(folder), "--port", str(port), "--log-level", "ERROR")
    return argv, {} if label == STOCK else same_blas()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(server: Server) -> None:
    give_up = time.monotonic() + _STARTING
    while time.monotonic() < give_up:
        if not server.child.is_running():
            raise server.child.failure()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=5) as response:
                json.load(response)
                return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    raise server.child.failure()
