"""`stop`: what is unloaded, what is refused, and how both are told."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mlxk2 import __version__
from mlxk2.adapters.memory import MemoryCache
from mlxk2.domain.usecases.unload_model import UnloadModel
from mlxk2.entrypoints.cli.context import Services
from mlxk2.ports.errors import Conflict
from mlxk2.ports.held import Held
from mlxk2.testing import memory_program
from mlxk2.testing.plugin import CommandLine
from tests.running import COMMIT, ListedModels, ListedServers, a_model, a_server, holding

DEMO = "mlxk2/demo"


def program(models: ListedModels) -> Callable[[], Services]:
    services = memory_program(MemoryCache())()
    unload = UnloadModel(ListedServers([a_server(port) for port in models.listed]), models, __version__)
    return lambda: services._replace(unload_model=lambda: unload)


def holds(**held: Held) -> Callable[[], Services]:
    """`on_8000=holding(...)`."""
    return program(ListedModels({int(port.removeprefix("on_")): models for port, models in held.items()}))


def error(cli: CommandLine, *argv: str, services: Callable[[], Services]) -> tuple[int, Any]:
    run = cli("stop", *argv, "--json", services=services)
    document = json.loads(run.out)
    assert (document["status"], document["command"], document["data"]) == ("error", "stop", None)
    return run.code, document["error"]


def test_what_went_is_told_in_words(cli: CommandLine) -> None:
    run = cli("stop", DEMO, services=holds(on_8000=holding(a_model()), on_8001=holding(a_model())))
    assert (run.code, run.err) == (0, "")
    assert run.out == (
        "Unloaded mlxk2/demo (c0ffee0) from the server on port 8000\n"
        "Unloaded mlxk2/demo (c0ffee0) from the server on port 8001\n"
    )


def test_what_went_is_told_to_programs(cli: CommandLine) -> None:
    run = cli(
        "stop", DEMO, "--port", "8001", "--json", services=holds(on_8000=holding(a_model()), on_8001=holding(a_model()))
    )
    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["data"] == {"models": [{"name": DEMO, "hash": COMMIT, "port": 8001}], "count": 1}


def test_force_is_passed_on(cli: CommandLine) -> None:
    models = ListedModels({8000: holding(a_model())})
    assert cli("stop", DEMO, "--force", services=program(models)).code == 0
    assert models.unloaded == [(8000, DEMO, True)]


def test_what_is_not_loaded_is_an_error_with_the_next_step(cli: CommandLine) -> None:
    code, told = error(cli, "org/demo", services=holds(on_8000=holding(a_model())))
    assert (code, told["type"]) == (1, "model_not_found")
    assert told["message"] == (
        "No server of yours has 'org/demo' loaded; did you mean mlxk2/demo? See what is loaded with: mlxk2 ps"
    )


def test_without_a_server_there_is_nothing_to_stop(cli: CommandLine) -> None:
    code, told = error(cli, DEMO, services=holds())
    assert (code, told["type"]) == (1, "server_gone")
    assert told["message"] == "No server of yours is running, so no model is loaded; start one with: mlxk2 serve"


def test_a_busy_model_is_refused_with_the_way_to_take_it_all_the_same(cli: CommandLine) -> None:
    busy = ListedModels({8000: holding(a_model(busy=1))}, {(8000, DEMO): Conflict("it is busy")})
    assert error(cli, DEMO, services=program(busy)) == (
        1,
        {
            "type": "OperationError",
            "message": "The server on port 8000 is using 'mlxk2/demo'; wait, or end its requests with --force",
        },
    )


def test_all_of_them_or_none(cli: CommandLine) -> None:
    both = holds(on_8000=holding(a_model(), a_model("org/other")))
    assert [line.split()[1] for line in cli("stop", "--all", services=both).out.splitlines()] == [DEMO, "org/other"]
    run = cli("stop", "--all", services=holds(on_8000=holding()))
    assert (run.code, run.out, run.err) == (0, "", "No model was loaded\n")
    document = json.loads(cli("stop", "--all", "--json", services=holds(on_8000=holding())).out)
    assert document["data"] == {"models": [], "count": 0}


@pytest.mark.parametrize("argv", [(), (DEMO, "--all")])
def test_one_model_is_named_or_all_are(cli: CommandLine, argv: tuple[str, ...]) -> None:
    code, told = error(cli, *argv, services=holds(on_8000=holding()))
    assert (code, told["type"]) == (2, "ValidationError")
    assert told["message"] == "name the model to unload, or say --all; see what is loaded with: mlxk2 ps"
