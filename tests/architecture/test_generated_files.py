"""Files made from the code are fresh, the same everywhere, and complete; the parser they stand on is light."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlxk2.entrypoints.cli.parser import ALIASES, COMMANDS, build_parser
from mlxk2.entrypoints.cli.records.catalogue import DATA_OF_COMMAND

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "json-api-schema.json").read_text())
GENERATED = (
    "docs/cli.md",
    "docs/server-options.md",
    "docs/json-api-schema.json",
    "docs/config-schema.json",
    "src/mlxk2/assets/completions/mlxk2.bash",
    "src/mlxk2/assets/completions/_mlxk2",
)


def generate(root: Path, *options: str, columns: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/generate_docs.py", *options],
        cwd=root,
        env={**os.environ, "COLUMNS": columns, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generator in a place of its own, with what it has just written."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    assert generate(tmp_path).returncode == 0
    return tmp_path


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in build_parser(whole=True)._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((name, parser) for name, parser in action.choices.items() if name not in ALIASES)


def options() -> Iterator[tuple[str, argparse.Action]]:
    for name, parser in (("mlxk2", build_parser(whole=True)), *commands()):
        yield from ((name, action) for action in parser._actions)


def test_the_generated_files_are_what_the_code_says() -> None:
    checked = generate(ROOT, "--check")
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


@pytest.mark.parametrize("columns", ["30", "200"])
def test_the_terminal_does_not_change_the_generated_files(copy: Path, columns: str) -> None:
    assert generate(copy, "--check", columns=columns).returncode == 0


@pytest.mark.parametrize("name", GENERATED)
def test_a_stale_file_is_named_in_one_line_and_can_be_written_again(copy: Path, name: str) -> None:
    fresh = (copy / name).read_text()
    (copy / name).write_text(fresh + "changed by hand\n")
    checked = generate(copy, "--check")
    assert checked.returncode == 1
    assert checked.stderr == f"{name} is not what the code says; run: python tools/generate_docs.py\n"
    assert generate(copy).returncode == 0
    assert generate(copy, "--check").returncode == 0
    assert (copy / name).read_text() == fresh


def test_a_missing_file_is_stale(copy: Path) -> None:
    shutil.rmtree(copy / "src/mlxk2/assets/completions")
    checked = generate(copy, "--check")
    assert checked.returncode == 1
    assert [line.split()[0] for line in checked.stderr.splitlines()] == [
        "src/mlxk2/assets/completions/mlxk2.bash",
        "src/mlxk2/assets/completions/mlxk-json.bash",
        "src/mlxk2/assets/completions/_mlxk2",
    ]


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_has_an_envelope_for_every_command_and_one_for_errors() -> None:
    assert set(DATA_OF_COMMAND) == set(COMMANDS)
    envelopes = [f"#/$defs/{command}_success" for command in COMMANDS] + ["#/$defs/error"]
    assert SCHEMA["anyOf"] == [{"$ref": reference} for reference in envelopes]


MODEL: dict[str, Any] = {
    "name": "org/m",
    "hash": None,
    "size_bytes": 0,
    "last_modified": "2026-01-01T00:00:00Z",
    "framework": "MLX",
    "model_type": "chat",
    "capabilities": ["chat"],
    "health": "healthy",
    "runtime_compatible": True,
    "reason": None,
    "cached": True,
}


def shown(model: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    """An answer of `show`, valid when nothing is changed in its model object, its data or its envelope."""
    content = {"model": {**MODEL, **(model or {})}, "metadata": None, **(data or {})}
    return {"status": "success", "command": "show", "data": content, "error": None, **envelope}


def test_the_schema_accepts_a_free_form_config(schema: jsonschema.Draft202012Validator) -> None:
    schema.validate(shown())
    schema.validate(shown(data={"config": {"any": ["thing", {"at": "all"}]}}))


@pytest.mark.parametrize(
    "wrong",
    [
        shown(command="list"),
        shown(more=1),
        shown(error={"type": "x", "message": "y"}),
        shown(status="error", error={"type": "x", "message": "y"}),
        shown(model={"path": "/home/me"}),
        shown(model={"framework": "Other"}),
        shown(model={"hash": 5}),
        shown(data={"config": None}),
        shown(data={"files": [{"name": "a", "size": "1B"}]}),
        {**shown(), "data": {"model": MODEL}},
    ],
)
def test_the_schema_refuses_what_no_record_says(schema: jsonschema.Draft202012Validator, wrong: dict[str, Any]) -> None:
    assert not schema.is_valid(wrong)


def test_every_command_has_a_description() -> None:
    assert [name for name, _ in commands()] == list(COMMANDS)
    for name, parser in commands():
        assert parser.description, name
        assert parser.description.endswith("."), name


def test_every_option_has_a_help_text() -> None:
    for name, action in options():
        assert action.help or isinstance(action, argparse._SubParsersAction), f"{name} {action.dest}"


def test_the_page_of_the_command_line_names_every_command_and_option(copy: Path) -> None:
    sections = (copy / "docs" / "cli.md").read_text().split("\n## ")
    pages = {section.split("\n")[0]: section for section in sections}
    common = pages["Common options"]
    for name, action in options():
        page = sections[0] + common if name == "mlxk2" else pages[name] + common
        for word in action.option_strings or [str(action.metavar or action.dest)]:
            assert word in page, f"{name} {word}"


def test_building_the_parser_imports_argparse_and_the_grammar_alone() -> None:
    base = "import argparse, importlib, typing, collections.abc; argparse.ArgumentParser(prog='x').add_subparsers()"
    ours = "from mlxk2.entrypoints.cli.parser import build_parser; build_parser(whole=True)"
    added = set(modules_after(f"{base}; {ours}")) - set(modules_after(base))
    cli = "mlxk2.entrypoints.cli"
    grammar = (*COMMANDS, "answer_options", "common", "server_options")
    assert added == {
        *("mlxk2", "mlxk2.configuration"),
        *(f"mlxk2.configuration.{name}" for name in ("kinds", "near", "options")),
        *("mlxk2.entrypoints", cli, f"{cli}.parser", f"{cli}.grammar", *(f"{cli}.grammar.{name}" for name in grammar)),
    }


def test_one_command_costs_its_own_grammar_alone() -> None:
    loaded = modules_after(
        "from mlxk2.entrypoints.cli.parser import build_parser; build_parser().parse_args(['rm', 'x'])"
    )
    grammar = {name.removeprefix("mlxk2.entrypoints.cli.grammar.") for name in loaded if ".cli.grammar." in name}
    assert grammar == {"common", "rm"}


def modules_after(code: str) -> list[str]:
    child = [sys.executable, "-c", f"{code}; import sys; print(chr(10).join(sys.modules))"]
    return subprocess.run(child, capture_output=True, text=True, check=True).stdout.splitlines()


def test_bash_completes_commands_options_and_cached_models(tmp_path: Path) -> None:
    for folder in ("models--org--good", "models--org--$(exit)", "datasets--org--other"):
        (tmp_path / folder).mkdir()
    assert bash_offers(tmp_path, "mlxk2 h") == ["health"]
    assert bash_offers(tmp_path, "mlxk-json rm --d") == ["--dry-run"]
    assert bash_offers(tmp_path, "mlxk2 list --json-spec ") == ["0.2.3", "0.1.3"]
    assert bash_offers(tmp_path, "mlxk2 list --sort ") == ["name", "size", "modified", "used"]
    assert bash_offers(tmp_path, "mlxk2 list --un") == ["--unhealthy"]
    assert bash_offers(tmp_path, "mlxk2 du ") == ["demo", "org/good"]
    assert bash_offers(tmp_path, "mlxk2 show ") == ["demo", "org/good"]
    assert bash_offers(tmp_path, "mlxk2 serve --pin ") == ["demo", "org/good"]
    assert bash_offers(tmp_path, "mlxk2 server --log-format ") == ["text", "json"]


def test_bash_completes_the_revisions_of_a_cached_model(tmp_path: Path) -> None:
    for folder, commit in (("org--good", "0a" * 20), ("org--good", "fe" * 20), ("mlxk2--demo", "ab" * 20)):
        (tmp_path / f"models--{folder}" / "snapshots" / commit).mkdir(parents=True)
    (tmp_path / "models--org--good" / "snapshots" / "feed; rm").mkdir()
    assert bash_offers(tmp_path, "mlxk2 show org/good@") == ["org/good@0a0a0a0a0a0a", "org/good@fefefefefefe"]
    assert bash_offers(tmp_path, "mlxk2 run good@f") == ["good@fefefefefefe"]
    assert bash_offers(tmp_path, "mlxk2 rm demo@") == ["demo@abababababab"]
    assert bash_offers(tmp_path, "mlxk2 show org/other@") == [""]


def bash_offers(cache: Path, line: str) -> list[str]:
    words = line.split(" ")
    script = (
        '. src/mlxk2/assets/completions/mlxk-json.bash; complete -p "$1" >/dev/null || exit 9;'
        ' COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_mlxk2; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    child = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return child.stdout.splitlines()


def test_zsh_registers_both_names_and_completes_models() -> None:
    script = (ROOT / "src/mlxk2/assets/completions/_mlxk2").read_text()
    assert script.startswith("#compdef mlxk2 mlxk-json\n")
    assert "or \\'demo\\':_mlxk2_models" in script
    assert [name for name in COMMANDS if f"\n    {name}:'" in script] == list(COMMANDS)
