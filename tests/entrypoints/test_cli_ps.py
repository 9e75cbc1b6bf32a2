"""`ps`: the table for people, the documents for programs, and looking again and again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlxk2 import __version__
from mlxk2.adapters.memory import MemoryCache, MemoryClock
from mlxk2.domain.usecases.watch_servers import WatchServers
from mlxk2.entrypoints.cli.context import Services
from mlxk2.ports.held import Held
from mlxk2.testing import Run, memory_program
from mlxk2.testing.plugin import CommandLine
from tests.running import COMMIT, NOW, ListedModels, ListedServers, a_model, a_server, holding

BUSY = a_model(
    "mlx-community/Qwen3-0.6B-4bit",
    resident_bytes=1_260_000_000,
    bytes=2_000_000_000,
    busy=2,
    waiting=1,
    tokens_per_second=41.259,
    generated_tokens=5123,
    idle_seconds=None,
    expires_in=None,
)
NONE_RUNNING = "No server of yours is running; start one with: mlxk2 serve\n"


def program(held: dict[int, Held], *ports: int) -> Callable[[], Services]:
    """Servers on these ports, of which those in `held` answer."""
    servers = ListedServers([a_server(port) for port in ports or held])
    services = memory_program(MemoryCache(), clock=MemoryClock(NOW))()
    models = ListedModels(held)
    watch = WatchServers(servers, lambda: models, __version__)
    return lambda: services._replace(watch_servers=lambda: watch, servers=lambda: servers)


def data(run: Run) -> Any:
    document = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert (document["status"], document["command"], document["error"]) == ("success", "ps", None)
    return document["data"]


class TestOneLook:
    def test_the_table_for_people(self, cli: CommandLine) -> None:
        run = cli("ps", services=program({8000: holding(a_model(), BUSY, waiting=3)}))
        assert run.code == 0
        assert run.out == (
            "NAME                             MEMORY  RUNNING  WAITING  TOKENS/S  EXPIRES\n"
            "mlxk2/demo                     310.0 MB        0        0         -  in 4m 58s\n"
            "mlx-community/Qwen3-0.6B-4bit    1.3 GB        2        1      41.3  in use\n"
        )
        assert run.err == (
            "Server at http://127.0.0.1:8000, process 4700, started 2h ago: 2.4 GB of 8.0 GB reserved;"
            " 3 requests waiting for room\n"
        )

    def test_the_document_for_programs(self, cli: CommandLine) -> None:
        assert data(cli("ps", "--json", services=program({8000: holding(BUSY)}))) == {
            "servers": [
                {
                    "url": "http://127.0.0.1:8000",
                    "port": 8000,
                    "pid": 4700,
                    "version": __version__,
                    "started": "2023-11-14T20:13:20Z",
                    "memory_limit_bytes": 8_000_000_000,
                    "memory_taken_bytes": 2_000_000_000,
                    "waiting": 0,
                    "problem": None,
                }
            ],
            "models": [
                {
                    "name": "mlx-community/Qwen3-0.6B-4bit",
                    "hash": COMMIT,
                    "port": 8000,
                    "state": "loaded",
                    "stage": None,
                    "memory_bytes": 1_260_000_000,
                    "memory_limit_bytes": 2_000_000_000,
                    "running": 2,
                    "waiting": 1,
                    "tokens_per_second": 41.26,
                    "generated_tokens": 5123,
                    "idle_seconds": None,
                    "expires_in": None,
                    "pinned": False,
                    "restarts": 0,
                    "context_length": 2048,
                }
            ],
            "count": 1,
        }

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"expires_in": 0.2}, "in 0s"),
            ({"expires_in": 59.6}, "in 1m"),
            ({"expires_in": 7380.0}, "in 2h 3m"),
            ({"expires_in": None}, "never"),
            ({"expires_in": None, "waiting": 1}, "in use"),
            ({"expires_in": None, "busy": 1, "pinned": True}, "never"),
            ({"state": "loading", "stage": "reading weights", "expires_in": None}, "reading weights"),
            ({"state": "loading", "expires_in": None}, "loading"),
            ({"state": "unloading", "expires_in": None}, "unloading"),
        ],
    )
    def test_when_its_memory_is_given_back(self, cli: CommandLine, changes: dict[str, Any], told: str) -> None:
        row = cli("ps", services=program({8000: holding(a_model(**changes))})).out.splitlines()[1]
        assert row.endswith(f"  {told}")

    def test_memory_that_nobody_has_measured_yet_is_not_called_nothing(self, cli: CommandLine) -> None:
        row = cli("ps", services=program({8000: holding(a_model(resident_bytes=0))})).out.splitlines()[1]
        assert row.split()[1] == "-"

    def test_a_server_without_models_says_when_one_comes(self, cli: CommandLine) -> None:
        run = cli("ps", services=program({8000: holding(limit=None)}))
        assert (run.code, run.out) == (0, "NAME  MEMORY  RUNNING  WAITING  TOKENS/S  EXPIRES\n")
        assert run.err == (
            "Server at http://127.0.0.1:8000, process 4700, started 2h ago: 0 B reserved\n"
            "No model is loaded; the first request for a model loads it\n"
        )

    def test_without_a_server_there_is_an_empty_table_and_the_next_step(self, cli: CommandLine) -> None:
        run = cli("ps", services=program({}))
        assert (run.code, run.out) == (0, "NAME  MEMORY  RUNNING  WAITING  TOKENS/S  EXPIRES\n")
        assert run.err == NONE_RUNNING
        assert data(cli("ps", "--json", services=program({}))) == {"servers": [], "models": [], "count": 0}

    def test_several_servers_share_a_table_that_says_whose_each_model_is(self, cli: CommandLine) -> None:
        two = program({8000: holding(a_model()), 8001: holding(a_model())})
        run = cli("ps", services=two)
        assert [line.split()[-1] for line in run.out.splitlines()] == ["PORT", "8000", "8001"]
        assert [line.split(",")[0] for line in run.err.splitlines()] == [
            "Server at http://127.0.0.1:8000",
            "Server at http://127.0.0.1:8001",
        ]
        assert [model["port"] for model in data(cli("ps", "--json", services=two))["models"]] == [8000, 8001]
        assert [model["port"] for model in data(cli("ps", "--port", "8001", "--json", services=two))["models"]] == [
            8001
        ]

    def test_a_server_that_does_not_answer_is_told_beside_the_others(self, cli: CommandLine) -> None:
        some = program({8000: holding(a_model())}, 8000, 8001)
        run = cli("ps", services=some)
        assert (run.code, len(run.out.splitlines())) == (0, 2)
        assert run.err.splitlines()[1] == "The server on port 8001 does not answer"
        silent = data(cli("ps", "--json", services=some))["servers"][1]
        assert silent["problem"] == "The server on port 8001 does not answer"
        assert {silent[name] for name in ("memory_limit_bytes", "memory_taken_bytes", "waiting")} == {None}

    def test_a_silent_server_alone_is_not_called_empty(self, cli: CommandLine) -> None:
        assert cli("ps", services=program({}, 8000)).err == "The server on port 8000 does not answer\n"

    def test_a_port_that_nobody_listens_on_is_an_error(self, cli: CommandLine) -> None:
        run = cli("ps", "--port", "9", "--json", services=program({8000: holding()}))
        error = json.loads(run.out)["error"]
        assert (run.code, error["type"]) == (1, "server_gone")
        assert error["message"] == "No server of yours is running on port 9; yours are on 8000"

    def test_control_characters_of_a_server_do_not_reach_the_terminal(self, cli: CommandLine) -> None:
        odd = a_model("org/\x1b[31mred", state="loading", stage="\x1b[2J")
        assert "\x1b" not in cli("ps", services=program({8000: holding(odd)})).out

    def test_a_narrow_table_gives_long_names_a_line_of_their_own(
        self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        lines = cli("ps", services=program({8000: holding(a_model(), BUSY)})).out.splitlines()
        assert max(map(len, lines)) <= 60
        assert "mlx-community/Qwen3-0.6B-4bit" in lines

    def test_where_a_table_has_no_room_each_model_has_lines_of_its_own(
        self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        assert cli("ps", services=program({8000: holding(BUSY), 8001: holding()})).out == (
            "mlx-community/Qwen3-0.6B-4bit\n"
            "  1.3 GB of memory in the server on port 8000\n"
            "  2 running, 1 waiting, 41.3 tokens/s\n"
            "  expires: in use\n"
        )


class TestAgainAndAgain:
    def test_one_look_as_an_event(self, cli: CommandLine) -> None:
        run = cli("ps", "--jsonl", services=program({8000: holding(a_model())}))
        (event,) = map(json.loads, run.out.splitlines())
        assert (run.code, event["event"], event["data"]["count"]) == (0, "look", 1)

    def test_json_is_one_document_and_cannot_be_watched(self, cli: CommandLine) -> None:
        run = cli("ps", "--watch", "--json", services=program({}))
        assert (run.code, json.loads(run.out)["error"]["message"]) == (
            2,
            "--watch has no end, and --json is one document; take --jsonl, which prints one line a look",
        )

    @pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "3601"])
    def test_a_pause_that_cannot_be_meant_is_refused(self, cli: CommandLine, seconds: str) -> None:
        run = cli("ps", f"--watch={seconds}", services=program({}))
        assert (run.code, run.err) == (1, f"mlxk2: --watch takes seconds from 0.1 to 3600, not {seconds}\n")

    @pytest.fixture
    def three_looks(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The pauses that were made; Ctrl-C comes in the third."""
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", pause)
        return pauses

    def test_every_look_is_a_line_until_ctrl_c(self, cli: CommandLine, three_looks: list[float]) -> None:
        run = cli("ps", "--watch", "--jsonl", services=program({8000: holding()}))
        events = [json.loads(line)["event"] for line in run.out.splitlines()]
        assert (run.code, events, three_looks) == (130, ["look", "look", "look", "error"], [1.0, 1.0, 1.0])

    def test_without_a_terminal_looks_follow_one_another_and_what_stays_is_told_once(
        self, cli: CommandLine, three_looks: list[float]
    ) -> None:
        run = cli("ps", "--watch", "0.5", services=program({}))
        header = "NAME  MEMORY  RUNNING  WAITING  TOKENS/S  EXPIRES\n"
        assert (run.code, run.out) == (130, "\n".join([header] * 3))
        assert run.err == f"{NONE_RUNNING}mlxk2: Interrupted\n"
        assert three_looks == [0.5, 0.5, 0.5]
