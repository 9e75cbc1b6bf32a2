"""The servers under test, each a process of its own on a loopback port, and the client that asks them."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.blas import same_blas
from bench.engine.children import Child, module
from bench.engine.exchanges import Errand, Outcome
from bench.engine.models import BenchModel
from bench.engine.prompts import Prompts
from bench.engine.requests import Body, chat
from bench.processes import CommandFailed

OWN = "mlxk2 serve"
PEER, STOCK = "mlx_lm.server, same BLAS and type", "mlx_lm.server, stock"
KNIFE = "mlx-knife, same BLAS and type"
HELLO = "starlette and uvicorn alone"
KNIFE_COMMAND = "MLXK2_BENCH_KNIFE"
"""The environment variable that says how mlx-knife is started: its path, or a command line."""
_PEER_PROGRAM = """
import socketserver
socketserver.TCPServer.request_queue_size = 128
from mlx_lm.server import main
main()
"""
"""`mlx_lm.server` with a longer queue of connections, as the others have: with 5 places a volley waits a second."""
_STARTING = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `model` is what it calls its model, `options` are fields of every request for it."""

    label: str
    port: int
    model: str
    options: Mapping[str, object]
    child: Child

    def errand(
        self, bodies: Sequence[Body], at_once: int = 1, background: Sequence[Body] = (), gaps: Sequence[float] = ()
    ) -> Errand:
        """The bodies addressed to this server's model."""
        addressed, behind = (
            [{"model": self.model, **self.options, **body} for body in some] for some in (bodies, background)
        )
        return Errand(self.port, addressed, at_once, behind, gaps)


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

    def start(self, label: str, model: BenchModel, *arguments: str) -> Server:
        """The server, ready and warm; `arguments` are for its command line."""
        port = _free_port()
        argv, environ = _command(label, model, port)
        child = Child(f"{label} {model.key}", (*argv, *arguments), self._home, environ)
        self._stack.enter_context(child)
        name = "default_model" if label in (PEER, STOCK) else model.reference
        server = Server(label, port, name, model.options, child)
        _await_answer(server, "/ready" if label == OWN else "/health")
        for at_once in (1, 4):
            self.ask(server, server.errand([chat(self.prompts.take(8), 4) for _ in range(at_once)], at_once))
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


def knife_command() -> tuple[str, ...]:
    """How mlx-knife is started; empty when nobody says how."""
    return tuple(shlex.split(os.environ.get(KNIFE_COMMAND, "")))


def knife_version() -> str:
    """Its name and version in its own words; empty when nobody says how it is started."""
    argv = knife_command()
    if not argv:
        return ""
    return subprocess.run([*argv, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def _command(label: str, model: BenchModel, port: int) -> tuple[tuple[str, ...], Mapping[str, str]]:
    home = {"HF_HOME": str(model.cache.parent)}
    place = ("--port", str(port))
    if label == OWN:
        return (sys.executable, "-m", "mlxk2", "serve", "--model", model.reference, *place), home
    if label == KNIFE:
        argv = (*knife_command(), "serve", "--model", model.reference, *place, "--log-level", "error")
        return argv, {**home, **same_blas()}
    if label == HELLO:
        return (*module("hello"), *place), {}
    folder = model.stock if label == STOCK else model.folder
    argv = (sys.executable, "-c", _PEER_PROGRAM, "--model", str(folder), *place, "--log-level", "ERROR")
    return argv, {} if label == STOCK else same_blas()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_answer(server: Server, path: str) -> None:
    give_up = time.monotonic() + _STARTING
    while time.monotonic() < give_up:
        if not server.child.is_running():
            raise server.child.failure()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as response:
                json.load(response)
                return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    raise server.child.failure()
