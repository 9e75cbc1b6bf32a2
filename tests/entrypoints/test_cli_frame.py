"""The frame around every command: envelopes, exit codes, usage, names, streams."""

import json
import os
from typing import Any

import pytest

from mlxk2 import __version__
from mlxk2.adapters.memory import MemoryCache
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.parser import COMMANDS
from mlxk2.testing import healthy_model, memory_program
from mlxk2.testing.models import with_files
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

BROKEN = with_files(healthy_model("org/broken"), {"model.safetensors": None})


def error(run: Any) -> Any:
    document = json.loads(run.out)
    assert document["status"] == "error"
    return document


def test_the_version_is_printed_both_ways(cli: CommandLine) -> None:
    assert cli("--version").out == cli("version").out == f"mlxk2 {__version__}\n"
    for argv in (("--version", "--json"), ("version", "--json"), ("--json", "version")):
        document = json.loads(cli(*argv).out)
        assert document["command"] == "version"
        assert document["data"]["cli_version"] == __version__
        assert document["data"]["json_api_spec_version"] == "0.2.3"
        assert document["data"]["system"]["memory_total_bytes"] > 0


def test_json_works_before_and_after_the_command(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(healthy_model())
    assert cli("--json", "list").out == cli("list", "--json").out


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (("list", "--no-such-flag"), "list"),
        (("--no-such-flag", "show"), "show"),
        (("show",), "show"),
        (("rm",), "rm"),
        (("run",), "run"),
        (("pull",), "pull"),
        (("run", "m", "hi", "--max-tokens", "many"), "run"),
        (("run", "m", "hi", "-p", "hi"), "run"),
        (("health", "a", "b"), "health"),
        (("frobnicate",), "frobnicate"),
        ((), "mlxk2"),
        (("list", "--json-spec", "9"), "list"),
    ],
)
def test_a_usage_error_is_an_envelope_that_names_its_command(
    cli: CommandLine, argv: tuple[str, ...], command: str
) -> None:
    run = cli(*argv, "--json")
    assert run.code == 2
    document = error(run)
    assert (document["command"], document["data"], document["error"]["type"]) == (command, None, "ValidationError")
    assert document["error"]["message"]


def test_a_usage_error_for_people_shows_the_usage_and_one_sentence(cli: CommandLine) -> None:
    run = cli("show")
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("usage: mlxk2 show")
    assert run.err.splitlines()[-1] == "mlxk2: the following arguments are required: model"


def test_typical_mistakes_are_met_with_the_next_step(cli: CommandLine) -> None:
    assert cli("chat").err.splitlines()[-1] == (
        f"mlxk2: this version has no command 'chat'; did you mean 'run'? It has {', '.join(COMMANDS)}"
    )
    assert cli("run", "demo", "how", "are", "you").err.splitlines()[-1] == (
        "mlxk2: unrecognized arguments: are you; put a prompt of several words in quotes"
    )
    assert (
        cli("help", "run")
        .err.splitlines()[-1]
        .startswith(
            "mlxk2: this version has no command 'help'; write mlxk2 --help, or mlxk2 <command> --help. It has list, "
        )
    )


def test_a_question_in_the_place_of_the_model_is_no_name_to_download(cli: CommandLine) -> None:
    run = cli("run", "What can you do?", "hi", services=memory_program(MemoryCache([healthy_model("org/tiny-a")])))
    assert run.code == 1
    assert run.err == (
        "mlxk2: No model in the cache matches 'What can you do?'; see what is there with: mlxk2 list --all,"
        " and write a model before the question\n"
    )


def test_what_may_be_meant_is_named(cli: CommandLine) -> None:
    assert "no command 'cat'; it has list, show" in cli("cat").err
    assert "no command 'lst'; did you mean 'list'? It has list, show" in cli("lst").err
    assert cli("list", "--verbos").err.splitlines()[-1] == (
        "mlxk2: unrecognized arguments: --verbos; did you mean --verbose?"
    )
    assert cli("verify", "--fail").err.endswith("unrecognized arguments: --fail\n")  # --again is not meant
    assert cli("-v").err.endswith("unrecognized arguments: -v; did you mean --version?\n")
    assert cli("run", "demo", "hi", "-m", "5").err.endswith("unrecognized arguments: -m 5\n")  # --min-p, --max-tokens
    assert cli("run", "demo", "hi", "--temp", "1").err.endswith("--temp 1; did you mean --temperature?\n")
    assert cli("list", "--nothing-like-it=5").err.splitlines()[-1] == (
        "mlxk2: unrecognized arguments: --nothing-like-it=5"
    )
    program = memory_program(MemoryCache([healthy_model("org/tiny-a")]))
    assert cli("show", "tinny-a", services=program).err == (
        "mlxk2: No model in the cache matches 'tinny-a'; did you mean org/tiny-a? See what is there with:"
        " mlxk2 list --all\n"
    )


def test_an_unknown_option_is_answered_with_the_usage_of_its_command(cli: CommandLine) -> None:
    assert cli("pull", "demo", "--forse").err.startswith("usage: mlxk2 pull ")
    assert cli("--forse").err.startswith("usage: mlxk2 [-h]")


def test_an_option_is_never_guessed_from_its_beginning(cli: CommandLine) -> None:
    assert cli("list", "--verb").code == 2
    assert cli("list", "--js").code == 2


@pytest.mark.parametrize(
    ("argv", "kind", "code"),
    [
        (("show", ""), "ValidationError", 1),
        (("show", "x" * 97), "ValidationError", 1),
        (("show", "nothing"), "model_not_found", 1),
        (("show", "tiny"), "ambiguous_match", 1),
        (("show", "tiny-a@ab"), "ValidationError", 1),
        (("show", "tiny-a@fff"), "model_not_found", 1),
        (("rm", "nothing", "--force"), "model_not_found", 1),
        (("run", "nothing", "hi"), "model_not_found", 1),
        (("run", "tiny-a", ""), "ValidationError", 1),
        (("run", "tiny-a", "hi", "--top-p", "2"), "ValidationError", 1),
        (("pull", "org/model"), "model_not_found", 2),
        (("pull", ""), "ValidationError", 1),
    ],
)
def test_every_mistake_has_its_type_its_sentence_and_its_exit_code(
    cli: CommandLine, argv: tuple[str, ...], kind: str, code: int
) -> None:
    program = memory_program(MemoryCache([healthy_model("org/tiny-a"), healthy_model("org/tiny-b")]))
    run = cli(*argv, "--json", services=program)
    assert run.code == code
    document = error(run)
    assert (document["command"], document["error"]["type"]) == (argv[0], kind)
    human = cli(*argv, services=program)
    assert (human.code, human.out) == (code, "")
    assert human.err == f"mlxk2: {document['error']['message']}\n"


def test_an_ambiguous_reference_lists_its_matches(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([healthy_model("org/tiny-b"), healthy_model("org/tiny-a")]))
    document = error(cli("show", "tiny", "--json", services=program))
    assert document["error"]["matches"] == ["org/tiny-a", "org/tiny-b"]


def failing(problem: BaseException) -> Any:
    def services() -> Services:
        raise problem

    return services


def test_a_defect_is_one_sentence_and_no_traceback(cli: CommandLine) -> None:
    run = cli("list", "--json", services=failing(RuntimeError("boom")))
    assert run.code == 1
    assert error(run)["error"]["type"] == "InternalError"
    assert "test_cli_frame.py" in error(run)["error"]["details"]
    assert cli("list", services=failing(RuntimeError("boom"))).err.count("\n") == 1


def test_ctrl_c_is_an_envelope_too(cli: CommandLine) -> None:
    run = cli("list", "--json", services=failing(KeyboardInterrupt()))
    assert run.code == 130
    assert error(run)["error"]["type"] == "Interrupted"


@pytest.mark.parametrize("argv", [("--help",), ("list", "--help"), ("run", "-h")])
def test_help_goes_to_standard_output(cli: CommandLine, argv: tuple[str, ...]) -> None:
    run = cli(*argv)
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("usage: mlxk2")


def test_the_help_names_every_command(cli: CommandLine) -> None:
    run = cli("--help")
    assert run.code == 0
    assert all(f"    {command} " in run.out for command in COMMANDS)


def test_without_a_command_and_a_model_the_demo_is_offered(cli: CommandLine) -> None:
    run = cli(services=memory_program(MemoryCache([])))
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    assert lines[0].startswith("mlxk2 ")
    assert lines[2].startswith("There is no model in the cache yet (")
    assert [line.split("   ")[0].strip() for line in lines[3:6]] == [
        "mlxk2 pull demo",
        'mlxk2 run demo "How do I list my models?"',
        "mlxk2 search qwen3 4bit",
    ]
    assert lines[-1] == "All commands: mlxk2 --help"
    assert all(len(line) < 80 for line in lines[3:])


def test_without_a_command_the_newest_model_that_answers_is_offered(cli: CommandLine) -> None:
    run = cli(services=memory_program(MemoryCache([healthy_model("org/tiny-a"), BROKEN])))
    assert run.code == 0
    assert "2 models in the cache." in run.out
    assert 'mlxk2 run org/tiny-a "..."' in run.out


def test_without_a_command_models_that_cannot_be_run_are_to_be_looked_at(cli: CommandLine) -> None:
    run = cli(services=memory_program(MemoryCache([BROKEN])))
    assert run.code == 0
    assert "1 model in the cache. None of them can be run as it is." in run.out
    assert "mlxk2 health --verbose" in run.out


def test_an_unreadable_cache_is_a_permission_error(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> Any:
        raise PermissionError(13, "Permission denied")

    model_cache.add(healthy_model())
    monkeypatch.setattr(os, "scandir", refuse)
    run = cli("list", "--json")
    monkeypatch.undo()
    assert run.code == 3
    assert error(run)["error"]["type"] == "PermissionError"


def test_an_unreadable_model_is_a_row_with_its_reason(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_cache.add(healthy_model("org/a"), healthy_model("org/closed"))
    real = os.scandir

    def refuse(path: str) -> Any:
        if "closed" in path:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    rows = {row["name"]: row for row in json.loads(cli("list", "--json").out)["data"]["models"]}
    assert rows["org/a"]["health"] == "healthy"
    assert rows["org/closed"]["reason"] == "the folder cannot be read: permission denied"


def test_a_name_that_is_not_utf8_is_listed(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(healthy_model())
    os.mkdir(os.fsencode(model_cache.root) + b"/models--org--b\xff")
    rows = json.loads(cli("list", "--json").out)["data"]["models"]
    assert [row["name"] for row in rows] == ["mlx-community/tiny-4bit", "org/b\\xff"]
    assert "org/b" in cli("list", "--all").out
