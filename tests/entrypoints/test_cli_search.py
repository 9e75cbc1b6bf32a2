"""`search`: the table for people, the document for programs, and what the Hub is asked."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from huggingface_hub import close_session

from mlxk2.adapters.hub import HuggingFaceHub
from mlxk2.adapters.memory import MemoryCache, MemoryClock, MemoryHub, MemoryMachine, MemoryRepo
from mlxk2.adapters.memory.engine import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.container import services_on
from mlxk2.testing import MemoryCatalogue, MemorySource, Run, healthy_model, memory_program
from mlxk2.testing.plugin import CommandLine
from tests.loopback_hub import LoopbackHub

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def repo(
    downloads: int, *, weights: int | None = None, tags: tuple[str, ...] = ("mlx",), gated: bool = False
) -> MemoryRepo:
    files = {} if weights is None else {"model.safetensors": bytes(weights)}
    return MemoryRepo({"main": files}, downloads=downloads, tags=tags, gated=gated)


REPOS = {
    "other/tiny-torch": repo(70, tags=("pytorch",)),
    "other/tiny": repo(50, weights=1500),
    "mlx-community/tiny-4bit": repo(9, weights=1000),
    "mlx-community/tiny-8bit": repo(3, gated=True),
}
PROGRAM = memory_program(
    MemoryCache([healthy_model("mlx-community/tiny-4bit")]),
    clock=MemoryClock(1_700_000_000.0 + 3 * 86_400),
    hub=MemoryHub(REPOS),
)


def data(run: Run) -> Any:
    document = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert (document["status"], document["command"], document["error"]) == ("success", "search", None)
    return document["data"]


class TestWords:
    def test_the_table_for_people(self, cli: CommandLine) -> None:
        run = cli("search", "tiny", services=PROGRAM)
        assert run.code == 0
        assert run.out == (
            "NAME                                SIZE  FITS  DOWNLOADS  CHANGED\n"
            "mlx-community/tiny-4bit (cached)  1.0 KB  yes           9  3d ago\n"
            "mlx-community/tiny-8bit (gated)        ?  ?             3  3d ago\n"
            "other/tiny                        1.5 KB  yes          50  3d ago\n"
        )
        assert run.err == "Get one with: mlxk2 pull <name>. FITS compares the weights with this machine's memory\n"

    def test_the_document_for_programs(self, cli: CommandLine) -> None:
        assert data(cli("search", "tiny-4bit", "--json", services=PROGRAM)) == {
            "models": [
                {
                    "name": "mlx-community/tiny-4bit",
                    "size_bytes": 1000,
                    "fits": True,
                    "downloads": 9,
                    "likes": 0,
                    "last_modified": "2023-11-14T22:13:20Z",
                    "gated": False,
                    "cached": True,
                }
            ],
            "count": 1,
        }

    def test_what_nobody_can_tell_is_null(self, cli: CommandLine) -> None:
        (model,) = data(cli("search", "tiny-8bit", "--json", services=PROGRAM))["models"]
        assert (model["size_bytes"], model["fits"], model["gated"]) == (None, None, True)

    def test_nothing_found_is_no_error_and_says_where_else_to_look(self, cli: CommandLine) -> None:
        run = cli("search", "nothing", "here", services=PROGRAM)
        assert (run.code, run.out) == (0, "")
        assert run.err == "The Hub has no model for MLX whose name has 'nothing here'; look beyond MLX with --all\n"
        assert data(cli("search", "nothing", "--json", services=PROGRAM)) == {"models": [], "count": 0}

    def test_nothing_found_anywhere_does_not_speak_of_mlx(self, cli: CommandLine) -> None:
        run = cli("search", "nothing", "--all", services=PROGRAM)
        assert (run.code, run.out) == (0, "")
        assert "MLX" not in run.err

    def test_the_limit_is_kept(self, cli: CommandLine) -> None:
        assert data(cli("search", "tiny", "--limit", "2", "--json", services=PROGRAM))["count"] == 2

    def test_all_shows_the_others_too(self, cli: CommandLine) -> None:
        names = [model["name"] for model in data(cli("search", "tiny", "--all", "--json", services=PROGRAM))["models"]]
        assert names == ["mlx-community/tiny-4bit", "mlx-community/tiny-8bit", "other/tiny-torch", "other/tiny"]

    @pytest.mark.parametrize(
        ("argv", "code", "kind"),
        [
            (("tiny", "--limit", "0"), 1, "ValidationError"),
            (("tiny", "--limit", "501"), 1, "ValidationError"),
            ((" ",), 1, "ValidationError"),
            (("tiny", "--limit", "many"), 2, "ValidationError"),
            ((), 2, "ValidationError"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, cli: CommandLine, argv: tuple[str, ...], code: int, kind: str
    ) -> None:
        run = cli("search", *argv, "--json", services=PROGRAM)
        assert (run.code, json.loads(run.out)["error"]["type"]) == (code, kind)

    def test_offline_is_told_as_such(self, cli: CommandLine) -> None:
        program = memory_program(MemoryCache(), hub=MemoryHub(is_offline=True))
        run = cli("search", "tiny", "--json", services=program)
        assert (run.code, json.loads(run.out)["error"]["type"]) == (2, "NetworkError")

    def test_control_characters_in_a_name_do_not_reach_the_terminal(self, cli: CommandLine) -> None:
        program = memory_program(MemoryCache(), hub=MemoryHub({"org/tiny\x1b[31m": repo(1)}))
        assert "\x1b" not in cli("search", "tiny", services=program).out


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    yield
    close_session()


class TestOnAHub:
    @pytest.fixture
    def server(self) -> Iterator[LoopbackHub]:
        with LoopbackHub() as server:
            server.add_model(
                "mlx-community/Tiny-7B-4bit",
                {"config.json": b"{}"},
                tags=("mlx",),
                downloads=5,
                likes=2,
                parameters={"U32": 1_000_000_000, "BF16": 100_000_000},
                last_modified=datetime(2026, 4, 1, 12, 30, tzinfo=UTC),
            )
            server.add_model("mlx-community/tiny-gated", {}, tags=("mlx",), downloads=4, gated="manual")
            server.add_model("other/tiny-mlx", {}, tags=("mlx",), downloads=100)
            server.add_model("other/tiny", {}, tags=("gguf",), downloads=200)
            yield server

    @pytest.fixture
    def search(self, cli: CommandLine, server: LoopbackHub) -> Callable[..., Run]:
        services = services_on(
            cache=MemoryCache(),
            bundled=MemorySource("mlxk2/demo", {"config.json": b"{}"}),
            hub=HuggingFaceHub(server.endpoint),
            workspace=FolderWorkspace(),
            runtime=MemoryCatalogue(),
            clock=MemoryClock(NOW.timestamp()),
            machine=MemoryMachine(6_000_000_000),
            loader=MemoryEngineLoader(MemoryEngine(lambda prompt: prompt)),
        )
        return lambda *argv: cli("search", *argv, services=lambda: services)

    def test_a_model_is_described_from_what_the_hub_tells(self, search: Callable[..., Run]) -> None:
        (model,) = data(search("tiny", "7b", "--json"))["models"]
        assert model == {
            "name": "mlx-community/Tiny-7B-4bit",
            "size_bytes": 4_200_000_000,
            "fits": False,
            "downloads": 5,
            "likes": 2,
            "last_modified": "2026-04-01T12:30:00Z",
            "gated": False,
            "cached": False,
        }
        assert "4.2 GB  no" in search("tiny", "7b").out

    def test_the_order_is_that_of_the_program(self, search: Callable[..., Run]) -> None:
        models = data(search("tiny", "--json"))["models"]
        assert [(model["name"], model["gated"]) for model in models] == [
            ("mlx-community/Tiny-7B-4bit", False),
            ("mlx-community/tiny-gated", True),
            ("other/tiny-mlx", False),
        ]

    def test_others_are_asked_for_only_while_there_is_room(
        self, search: Callable[..., Run], server: LoopbackHub
    ) -> None:
        data(search("tiny", "--limit", "2", "--json"))
        assert len(server.requests) == 1
        data(search("tiny", "--limit", "3", "--json"))
        assert len(server.requests) == 3
