"""Running servers for tests of whatever asks them: records, and small stand-ins for the two ports."""

from dataclasses import dataclass, field, replace
from typing import Any

from mlxk2 import __version__
from mlxk2.ports.engine import Engine, Watch, unwatched
from mlxk2.ports.errors import Mlxk2Error, ServerGone
from mlxk2.ports.held import Held, HeldModel
from mlxk2.ports.servers import RunningServer

COMMIT = "c0ffee" + 34 * "0"
NOW = 1_700_000_000.0


def a_server(port: int = 8000, **changes: Any) -> RunningServer:
    ordinary = RunningServer(
        url=f"http://127.0.0.1:{port}",
        key="never shown",
        pid=4700 + port % 100,
        port=port,
        cache="/cache",
        version=__version__,
        started=NOW - 7200,
        log=f"/nowhere/server-{port}.log",
    )
    return replace(ordinary, **changes)


def a_model(name: str = "mlxk2/demo", **changes: Any) -> HeldModel:
    ordinary = HeldModel(
        model=name,
        revision=COMMIT,
        state="loaded",
        stage="",
        bytes=400_000_000,
        resident_bytes=310_000_000,
        busy=0,
        waiting=0,
        tokens_per_second=0.0,
        generated_tokens=0,
        idle_seconds=2.5,
        expires_in=297.5,
        pinned=False,
        restarts=0,
        context_length=2048,
    )
    return replace(ordinary, **changes)


def holding(*models: HeldModel, limit: int | None = 8_000_000_000, waiting: int = 0) -> Held:
    return Held(models, limit, sum(model.bytes for model in models), waiting)


@dataclass
class ListedServers:
    """The servers that run, and the folder of their logs."""

    listed: list[RunningServer]
    logs: str = "/nowhere"

    def running(self) -> tuple[RunningServer, ...]:
        return tuple(self.listed)

    def announce(self, server: RunningServer) -> None:
        self.listed.insert(0, server)

    def withdraw(self, server: RunningServer) -> None:
        self.listed.remove(server)

    def log_file(self, port: int) -> str:
        return f"{self.logs}/server-{port}.log"


@dataclass
class ListedModels:
    """What each server holds, by its port. A model that is named exactly is unloaded; a busy one with force alone.

    A port that is not there belongs to a server that cannot be reached. `failures` are raised for a reference instead.
    """

    listed: dict[int, Held]
    failures: dict[tuple[int, str], Mlxk2Error] = field(default_factory=dict)
    unloaded: list[tuple[int, str, bool]] = field(default_factory=list)

    def open(self, server: RunningServer, model: str, watch: Watch = unwatched) -> tuple[Engine, int | None]:
        raise NotImplementedError

    def held(self, server: RunningServer) -> Held:
        if server.port not in self.listed:
            raise ServerGone(f"The server on port {server.port} does not answer")
        return self.listed[server.port]

    def unload(self, server: RunningServer, model: str, *, force: bool) -> tuple[str, ...]:
        models = self.held(server).models
        self.unloaded.append((server.port, model, force))
        if error := self.failures.get((server.port, model)):
            raise error
        name, _, revision = model.partition("@")
        return tuple(
            f"{one.model}@{one.revision}"
            for one in models
            if one.model == name and one.revision.startswith(revision) and one.state != "unloading"
        )
