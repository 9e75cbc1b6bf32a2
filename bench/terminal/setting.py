"""The demo model, a running server that holds it, and the environment in which commands find both and nothing else."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from bench.engine.children import Child
from bench.engine.contests import Place
from bench.processes import CommandFailed, Contestant, measure, program

QUESTION = "How do I list my models?"
_MODEL = "mlxk2/demo"
_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Setting:
    """`environ` is what every command of a benchmark is started with."""

    port: int
    environ: Mapping[str, str]

    def first_token(self) -> float:
        """Seconds from connecting to the server until the first text of its answer is there."""
        body = {"model": _MODEL, "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        started = time.perf_counter()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            for line in connection.getresponse():
                if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                    return time.perf_counter() - started
        raise CommandFailed("the server answered without any text")


def environment(place: Place) -> dict[str, str]:
    """Servers and logs of this run alone, and a cache with the demo model."""
    runtime = place.home / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    cache = place.base / "demo"
    environ = {
        "HF_HUB_CACHE": str(cache),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_STATE_HOME": str(place.home / "state"),
        "PYTHONUNBUFFERED": "1",
    }
    measure(Contestant("mlxk2 pull demo", (program("mlxk2"), "pull", "demo"), environ), place.home)
    return environ


@contextmanager
def serving(place: Place) -> Iterator[Setting]:
    """A server with the demo model loaded and warm, until the end of a `with`."""
    environ = environment(place)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    argv = (program("mlxk2"), "serve", "--port", str(port), "--model", _MODEL)
    with Child("mlxk2 serve", argv, place.home, environ) as child:
        setting = Setting(port, environ)
        _await(setting, child)
        setting.first_token()
        _check_found(setting, place.home)
        yield setting


def _await(setting: Setting, child: Child) -> None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up and child.is_running():
        try:
            with closing(HTTPConnection("127.0.0.1", setting.port, timeout=_PATIENCE)) as connection:
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise child.failure()


def _check_found(setting: Setting, home: Path) -> None:
    """What is measured beside a server has to see it."""
    seen = measure(Contestant("mlxk2 ps", (program("mlxk2"), "ps", "--json"), setting.environ), home)
    names = [model["name"] for model in json.loads(seen.output)["data"]["models"]]
    if names != [_MODEL]:
        raise CommandFailed(f"mlxk2 ps sees {names} in the server's memory, {[_MODEL]} expected")
