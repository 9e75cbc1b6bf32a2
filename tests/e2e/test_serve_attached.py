"""A real server and what its user's other programs have of it: the record, the key, the log, answers that end early.

Requests are written here by hand, so that they can do what the program itself does not.
"""

import json
import os
import signal
import stat
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from mlxk2.adapters.servers import RecordedServers
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.servers import RunningServer as Record
from mlxk2.ports.troubles import Trouble, error_of
from tests.e2e.conftest import Program
from tests.e2e.serving import DEMO, PATIENCE, RunningServer, eventually, running_server

QUESTION = "How do I list my models?"
SAMPLING = [0, 1, 0, 0, 1, 0, 0, [[0, -100], [2, -100]]]
ENDLESS = [[1, 50, 60], 1900, SAMPLING]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "runtime").mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(tmp_path / "runtime"), "XDG_STATE_HOME": str(tmp_path / "state")}


def record_of(server: RunningServer, places: dict[str, Any]) -> Record:
    running = RecordedServers(places["XDG_RUNTIME_DIR"], places["XDG_STATE_HOME"]).running()
    (found,) = (one for one in running if one.pid == server.pid)
    return found


def model_of(server: RunningServer) -> str:
    return f"{DEMO}@{server.state()['revision']}"


class Lines:
    """A stream under /engine, over a connection of its own."""

    def __init__(self, server: RunningServer, key: str, path: str, body: Any) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        self._connection.request("POST", f"/engine/{path}", json.dumps(body), headers)
        self._response = self._connection.getresponse()

    def __iter__(self) -> Iterator[Any]:
        return (json.loads(line) for line in self._response)

    def until(self, name: str) -> Any:
        return next(line[name] for line in self if name in line)

    def vanish(self) -> None:
        self._response.close()
        self._connection.close()


def test_the_record_is_for_the_user_alone_and_its_key_is_nowhere_else(
    demo_cache: Path, places: dict[str, Any], program: Program
) -> None:
    with running_server(demo_cache, "--log-level", "debug", **places) as server:
        record = record_of(server, places)
        folder = Path(places["XDG_RUNTIME_DIR"]) / "mlxk2"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]
        assert (record.url, record.port, record.cache) == (server.url, server.port, str(demo_cache))
        assert len(record.key) >= 43
        assert program("run", "demo", QUESTION, **places).returncode == 0
        log = Path(record.log)
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert "POST /engine/generate 200" in log.read_text()
        assert QUESTION not in log.read_text() + server.log()
        said = [log.read_text(), server.log(), *map(_told_by_the_system, [server.pid, *server.workers()])]
        assert not any(record.key in text for text in said)
    assert list(folder.iterdir()) == []
    assert "The server stops" in log.read_text()
    with running_server(demo_cache, **places) as server:
        assert record_of(server, places).key != record.key


def _told_by_the_system(pid: int) -> str:
    return "".join(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))


def test_a_server_with_keys_of_its_own_lets_its_user_in_and_nobody_else_there(
    demo_cache: Path, places: dict[str, Any], program: Program
) -> None:
    with running_server(demo_cache, MLXK2_API_KEY="an-api-key", **places) as server:
        run = program("run", "demo", QUESTION, **places)
        assert (run.returncode, run.stderr) == (0, "")
        assert server.workers(), "the server has answered"
        for headers in ({}, {"Authorization": "Bearer an-api-key"}, {"x-api-key": "an-api-key"}):
            assert server.ask("POST", "/engine/status", {}, headers).status == 401
        local = {"Authorization": f"Bearer {record_of(server, places).key}"}
        assert server.ask("GET", "/v1/models", headers=local).status == 200
        assert server.ask("GET", "/v1/models").status == 401


def test_whoever_hangs_up_in_the_middle_leaves_nothing_at_work(demo_cache: Path, places: dict[str, Any]) -> None:
    with running_server(demo_cache, **places) as server:
        key, model = record_of(server, places).key, model_of(server)
        streams = [Lines(server, key, "generate", {"model": model, "request": ENDLESS}) for _ in range(8)]
        for stream in streams:
            stream.until("delta")
            stream.vanish()
        assert eventually(server.is_at_rest)
        assert server.number("engine_tokens_total") < 8 * 1900


def test_an_answer_that_a_server_does_not_finish_ends_with_that(demo_cache: Path, places: dict[str, Any]) -> None:
    with running_server(demo_cache, "--drain-seconds", "0", **places) as server:
        stream = Lines(
            server, record_of(server, places).key, "generate", {"model": model_of(server), "request": ENDLESS}
        )
        stream.until("delta")
        server.signal()
        name, message, details, values = stream.until("failed")
        assert isinstance(error_of(Trouble(name, message, details, tuple(values))), ServerGone)
        assert server.wait() == 0
        stream.vanish()


def test_the_process_of_a_model_that_is_killed_fails_the_answer_and_is_replaced(
    demo_cache: Path, places: dict[str, Any]
) -> None:
    with running_server(demo_cache, **places) as server:
        key, model = record_of(server, places).key, model_of(server)
        stream = Lines(server, key, "generate", {"model": model, "request": ENDLESS})
        stream.until("delta")
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        assert stream.until("failed")[0] == "EngineFailure"
        stream.vanish()
        again = Lines(server, key, "generate", {"model": model, "request": [[1, 50, 60], 3, SAMPLING]})
        assert again.until("finished")[2] == 3
        again.vanish()


def test_nobody_trips_over_the_record_of_a_server_that_was_killed(
    demo_cache: Path, places: dict[str, Any], program: Program
) -> None:
    folder = Path(places["XDG_RUNTIME_DIR"]) / "mlxk2"
    with running_server(demo_cache, **places) as server:
        port = server.port
        server.signal(signal.SIGKILL)
        server.wait()
        assert len(list(folder.iterdir())) == 1, "it had no time to take its record away"
    run = program("run", "demo", QUESTION, **places)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(program("ps", "--json", **places).stdout)["data"]["servers"] == []
    with running_server(demo_cache, "--port", str(port), **places) as server:
        assert record_of(server, places).port == port
        assert program("run", "demo", QUESTION, **places).returncode == 0
        assert server.workers()
        log = Path(record_of(server, places).log).read_text()
    assert log.count("The server listens at") == 2


@pytest.mark.parametrize(
    ("place", "warning"),
    [
        ("runtime/mlxk2", "run, ps and stop will not find this server"),
        ("state", "The log goes to standard error alone"),
    ],
)
def test_a_server_that_cannot_be_known_or_keep_its_log_warns_and_answers(
    demo_cache: Path, places: dict[str, Any], program: Program, tmp_path: Path, place: str, warning: str
) -> None:
    (tmp_path / place).write_text("no folder")
    with running_server(demo_cache, **places) as server:
        assert server.chat().status == 200
        assert f" warning {warning}: " in server.log()
        assert program("run", "demo", QUESTION, **places).returncode == 0
