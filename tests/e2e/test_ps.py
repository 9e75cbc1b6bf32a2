"""`ps`, `stop` and `logs` beside a real server that holds the demo model."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.test_imports import HEAVY, loaded_after
from tests.e2e.conftest import Process, Program
from tests.e2e.serving import DEMO, RunningServer, Stream, eventually, long_question, running_server


@dataclass(frozen=True)
class Beside:
    """A server, and the program in the same environment."""

    server: RunningServer
    program: Callable[..., Process]

    def ps(self) -> Any:
        run = self.program("ps", "--json")
        assert (run.returncode, run.stderr) == (0, "")
        return json.loads(run.stdout)["data"]

    def model(self) -> Any:
        """The one that is loaded; None when there is none."""
        models = self.ps()["models"]
        assert len(models) <= 1
        return models[0] if models else None


def known_server(cache: Path, places: dict[str, str]) -> AbstractContextManager[RunningServer]:
    runtime, state = places["XDG_RUNTIME_DIR"], places["XDG_STATE_HOME"]
    return running_server(cache, XDG_RUNTIME_DIR=runtime, XDG_STATE_HOME=state)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the servers of this module are made known, and where they log."""
    return {
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("runtime")),
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state")),
    }


@pytest.fixture(scope="module")
def server(demo_cache: Path, places: dict[str, str]) -> Iterator[RunningServer]:
    with known_server(demo_cache, places) as server:
        yield server


@pytest.fixture
def beside(server: RunningServer, program: Program, places: dict[str, str]) -> Beside:
    """With the demo model loaded and nobody asking it."""
    assert server.state()["state"] == "loaded"
    assert eventually(server.is_at_rest)
    return Beside(server, lambda *argv, **more: program(*argv, **places, **more))


def busy(server: RunningServer) -> Stream:
    """An answer that lasts."""
    return Stream(server, long_question(1900)).begin()


def test_an_idle_model_is_seen_with_its_memory_and_its_end(beside: Beside) -> None:
    told = beside.ps()
    (server,), (model,) = told["servers"], told["models"]
    assert (server["url"], server["port"], server["pid"]) == (beside.server.url, beside.server.port, beside.server.pid)
    assert (model["name"], model["state"], model["running"], model["waiting"]) == (DEMO, "loaded", 0, 0)
    assert model["memory_bytes"] > 0
    assert 0 < model["memory_limit_bytes"] <= server["memory_taken_bytes"]
    assert 0 < model["expires_in"] <= 300
    assert beside.program("ps").stdout.splitlines()[1].startswith(f"{DEMO} ")


def test_a_model_at_work_is_seen_with_its_requests_and_its_speed(beside: Beside) -> None:
    stream = busy(beside.server)
    try:
        assert eventually(lambda: (beside.model() or {}).get("tokens_per_second", 0) > 0)
        model = beside.model()
        assert (model["running"], model["expires_in"]) == (1, None)
    finally:
        stream.vanish()


def test_stop_gives_the_memory_back_and_cannot_do_it_twice(beside: Beside) -> None:
    run = beside.program("stop", "demo")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"Unloaded {DEMO} (")
    assert eventually(lambda: beside.model() is None)
    again = beside.program("stop", "demo", "--json")
    assert (again.returncode, json.loads(again.stdout)["error"]["type"]) == (1, "model_not_found")


def test_what_is_answering_is_stopped_by_force_alone(beside: Beside) -> None:
    stream = busy(beside.server)
    refused = beside.program("stop", DEMO, "--json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["type"]) == (1, "OperationError")
    assert "--force" in json.loads(refused.stdout)["error"]["message"]
    assert beside.program("stop", DEMO, "--force").returncode == 0
    assert stream.end().error is not None


def test_all_are_stopped_whatever_they_are_called(beside: Beside) -> None:
    stopped = json.loads(beside.program("stop", "--all", "--json").stdout)["data"]
    assert [(one["name"], one["port"]) for one in stopped["models"]] == [(DEMO, beside.server.port)]


def test_logs_show_what_the_server_has_done(beside: Beside) -> None:
    beside.server.chat("hello")
    logs = ("logs", "--port", str(beside.server.port))
    assert eventually(lambda: "POST /v1/chat/completions 200" in beside.program(*logs).stdout)
    run = beside.program(*logs, "-n", "1")
    assert (run.returncode, run.stdout.count("\n")) == (0, 1)
    assert run.stderr.startswith(f"The log of the server on port {beside.server.port}, process {beside.server.pid}: ")


@pytest.mark.usefixtures("beside")
def test_ps_loads_no_heavy_library_beside_a_server_either(
    places: dict[str, str], demo_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in places.items():
        monkeypatch.setenv(name, place)
    assert not {module.partition(".")[0] for module in loaded_after(["ps"], demo_cache)} & set(HEAVY)


class TestAServerThatHasEnded:
    """On servers of their own."""

    @pytest.fixture
    def places(self, tmp_path: Path) -> dict[str, str]:
        (tmp_path / "runtime").mkdir(mode=0o700)
        return {"XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "XDG_STATE_HOME": str(tmp_path / "state")}

    def test_it_is_seen_no_more_but_its_log_is(
        self, program: Program, demo_cache: Path, places: dict[str, str]
    ) -> None:
        with known_server(demo_cache, places) as server:
            assert json.loads(program("ps", "--json", **places).stdout)["data"]["servers"][0]["pid"] == server.pid
        run = program("ps", **places)
        assert (run.returncode, run.stderr) == (0, "No server of yours is running; start one with: mlxk2 serve\n")
        logs = program("logs", "--json", **places)
        data = json.loads(logs.stdout)["data"]
        assert (logs.returncode, data["port"], data["running"]) == (0, server.port, False)
        assert any(server.url in line for line in data["lines"])

    def test_killed_it_is_not_seen_either(self, program: Program, demo_cache: Path, places: dict[str, str]) -> None:
        with known_server(demo_cache, places) as server:
            server.signal(signal.SIGKILL)
            server.wait()
            assert json.loads(program("ps", "--json", **places).stdout)["data"]["servers"] == []
            stop = program("stop", "demo", "--json", **places)
            assert (stop.returncode, json.loads(stop.stdout)["error"]["type"]) == (1, "server_gone")
