"""`list` with filters, an order and other forms: what people, pipes and JSON get."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from mlxk2.domain.classify import Framework, ModelType
from mlxk2.domain.model_list import Order
from mlxk2.entrypoints.cli.parser import build_parser
from mlxk2.testing import (
    MemoryCache,
    MemoryClock,
    Pathology,
    Run,
    encoder_model,
    gguf_model,
    healthy_model,
    memory_program,
    pytorch_model,
    sick_model,
)
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

DAY = 86_400.0
NOW = 1_700_000_000.0 + 10 * DAY
OLD = replace(healthy_model("mlx-community/old-4bit", files={"extra.bin": bytes(5000)}), modified=NOW - 8 * DAY)
NEW = replace(healthy_model("mlx-community/new-4bit"), modified=NOW - 3 * DAY)
BAD = replace(sick_model(Pathology.MISSING_SHARD, "org/bad-4bit"), modified=NOW - 5 * DAY)
MODELS = (OLD, NEW, BAD, encoder_model(), gguf_model(), pytorch_model())
PROGRAM = memory_program(MemoryCache(MODELS), clock=MemoryClock(NOW))
BY_NAME = [
    *("bartowski/tiny-GGUF", "mlx-community/new-4bit", "mlx-community/old-4bit", "mlx-community/tiny-encoder"),
    *("org/bad-4bit", "org/tiny-pt"),
]


def listed(cli: CommandLine, *options: str) -> list[str]:
    document = json.loads(cli("list", "--json", *options, services=PROGRAM).out)
    found = [model["name"] for model in document["data"]["models"]]
    assert document["data"]["count"] == len(found)
    return found


def test_filters_order_and_limit_hold_for_json(cli: CommandLine) -> None:
    assert listed(cli) == BY_NAME
    assert listed(cli, "--reverse") == BY_NAME[::-1]
    assert listed(cli, "--framework", "gguf") == ["bartowski/tiny-GGUF"]
    assert listed(cli, "--framework", "PyTorch") == ["org/tiny-pt"]
    assert listed(cli, "--type", "embedding") == ["mlx-community/tiny-encoder"]
    assert listed(cli, "--unhealthy") == ["org/bad-4bit"]
    assert listed(cli, "4bit", "--healthy") == ["mlx-community/new-4bit", "mlx-community/old-4bit"]
    assert listed(cli, "--sort", "size", "--limit", "2") == ["mlx-community/old-4bit", "org/bad-4bit"]
    assert listed(cli, "4bit", "--sort", "modified")[0] == "mlx-community/new-4bit"
    assert listed(cli, "4bit", "--sort", "used", "--reverse")[0] == "mlx-community/old-4bit"


def test_the_words_of_the_options_are_those_of_the_rules() -> None:
    parser = build_parser(whole=True)
    (commands,) = (action.choices for action in parser._actions if action.dest == "command")
    assert commands is not None
    choices = {action.dest: action.choices for action in dict(commands)["list"]._actions if action.choices}
    assert choices["framework"] == tuple(framework.value.lower() for framework in Framework)
    assert choices["type"] == tuple(kind.value for kind in ModelType)
    assert choices["sort"] == tuple(order.value for order in Order)


def test_a_table_by_last_use_has_a_column_for_it(cli: CommandLine) -> None:
    assert cli("list", "--sort", "used", services=PROGRAM).out == (
        "NAME          HASH       SIZE  MODIFIED  USED    TYPE\n"
        "new-4bit      74d8ece   481 B  3d ago    3d ago  chat\n"
        "org/bad-4bit  ccb054c   604 B  5d ago    5d ago  chat\n"
        "old-4bit      4bd5cae  5.5 KB  1w ago    1w ago  chat\n"
        "tiny-encoder  05f4cbb   263 B  1w ago    1w ago  embedding\n"
    )


def test_a_model_whose_use_nobody_knows_has_a_dash(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([replace(healthy_model(), modified=0.0)]), clock=MemoryClock(NOW))
    assert cli("list", "--sort", "used", services=program).out.splitlines()[1].split()[-2:] == ["-", "chat"]
    (row,) = csv.DictReader(StringIO(cli("list", "--format", "csv", services=program).out))
    assert (row["last_used"], row["last_modified"]) == ("", "1970-01-01T00:00:00Z")


def test_a_framework_that_is_named_needs_no_all(cli: CommandLine) -> None:
    assert cli("list", "--framework", "gguf", services=PROGRAM) == Run(
        0,
        "NAME                 HASH     SIZE  MODIFIED  TYPE\nbartowski/tiny-GGUF  8bf6502  56 B  1w ago    unknown\n",
        "",
    )


def test_what_is_left_out_is_told(cli: CommandLine) -> None:
    short = cli("list", "--sort", "size", "--limit", "1", services=PROGRAM)
    assert [line.split()[0] for line in short.out.splitlines()] == ["NAME", "old-4bit"]
    assert short.err == (
        "2 models of other frameworks or without weights not shown; see them with: mlxk2 list --all\n"
        "3 more models beyond --limit 1\n"
    )
    assert cli("list", "--type", "base", "--framework", "mlx", services=PROGRAM) == Run(
        0, "", "None of 6 models is of that kind; see all: mlxk2 list --all\n"
    )
    ill = cli("list", "--unhealthy", services=PROGRAM)
    assert ill.err == "See what is wrong with them: mlxk2 list --unhealthy --verbose\n"
    assert "shards missing" in cli("list", "--unhealthy", "--verbose", services=PROGRAM).out


def test_csv_has_machine_values_and_the_words_of_the_model_object(cli: CommandLine) -> None:
    run = cli("list", "--all", "--format", "csv", services=PROGRAM)
    rows = list(csv.DictReader(StringIO(run.out, newline="")))
    objects = json.loads(cli("list", "--json", services=PROGRAM).out)["data"]["models"]
    assert run.out.count("\r\n") == run.out.count("\n") == len(objects) + 1
    for row, model in zip(rows, objects, strict=True):
        assert {**row, "last_used": ""} == {
            "name": model["name"],
            "hash": model["hash"],
            "size_bytes": str(model["size_bytes"]),
            "last_modified": model["last_modified"],
            "last_used": "",
            "framework": model["framework"],
            "model_type": model["model_type"],
            "capabilities": " ".join(model["capabilities"]),
            "health": model["health"],
            "runtime_compatible": str(model["runtime_compatible"]).lower(),
            "reason": model["reason"] or "",
        }
    assert rows[0]["last_used"] == "2023-11-14T22:13:20Z"


def test_csv_quotes_what_needs_it_and_has_a_header_even_of_nothing(cli: CommandLine) -> None:
    odd = sick_model(Pathology.NO_WEIGHTS, 'org/a,"b"')
    run = cli("list", "--format", "csv", services=memory_program(MemoryCache([odd])))
    (row,) = csv.DictReader(StringIO(run.out))
    assert row["name"] == 'org/a,"b"'
    assert '"org/a,""b""",' in run.out
    empty = cli("list", "--format", "csv", services=memory_program(MemoryCache()))
    assert empty.out.startswith("name,hash,size_bytes,last_modified,last_used,framework,")
    assert empty.out.count("\n") == 1
    assert "No model in the cache" in empty.err


def test_names_are_whole_names_one_a_line(cli: CommandLine) -> None:
    run = cli("list", "4bit", "--healthy", "--format", "names", services=PROGRAM)
    assert run == Run(0, "mlx-community/new-4bit\nmlx-community/old-4bit\n", "")
    assert cli("list", "nothing", "--format", "names", services=PROGRAM).out == ""


def test_a_form_shows_the_same_models_as_the_table(cli: CommandLine) -> None:
    for options in ((), ("--all",), ("--framework", "gguf"), ("--limit", "2", "--sort", "size")):
        table = cli("list", "--verbose", *options, services=PROGRAM).out.splitlines()[1:]
        names = cli("list", "--format", "names", *options, services=PROGRAM).out.splitlines()
        rows = csv.DictReader(StringIO(cli("list", "--format", "csv", *options, services=PROGRAM).out))
        assert names == [line.split()[0] for line in table if ": " not in line] == [row["name"] for row in rows]


@pytest.mark.parametrize("form", ["table", "csv", "names"])
def test_two_forms_of_one_result_are_refused(cli: CommandLine, form: str) -> None:
    run = cli("list", "--json", "--format", form, services=PROGRAM)
    assert run.code == 2
    assert json.loads(run.out)["error"] == {
        "type": "ValidationError",
        "message": f"--format {form} and --json are two forms of one result; choose one",
    }


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--limit", "0"), 1, "mlxk2: --limit 0 is out of range: it must be 1 or more"),
        (("--limit", "many"), 2, "mlxk2: argument --limit: invalid int value: 'many'"),
        (("--healthy", "--unhealthy"), 2, "mlxk2: argument --unhealthy: not allowed with argument --healthy"),
        (("--framework", "onnx"), 2, "mlxk2: argument --framework: invalid choice: 'onnx'"),
        (("--sort", "age"), 2, "mlxk2: argument --sort: invalid choice: 'age'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(
    cli: CommandLine, options: tuple[str, ...], code: int, sentence: str
) -> None:
    run = cli("list", *options, services=PROGRAM)
    assert (run.code, run.out) == (code, "")
    assert run.err.splitlines()[-1].startswith(sentence)


LONG = healthy_model("some-organisation/a-long-name-of-a-model-Instruct-4bit")


def test_the_table_at_80_columns(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli("list", "--sort", "used", "--all", "--health", services=PROGRAM).out == (
        "NAME          HASH       SIZE  MODIFIED  USED    TYPE       FRAMEWORK  HEALTH\n"
        "new-4bit      74d8ece   481 B  3d ago    3d ago  chat       MLX        healthy\n"
        "org/bad-4bit  ccb054c   604 B  5d ago    5d ago  chat       MLX        unhealthy\n"
        "old-4bit      4bd5cae  5.5 KB  1w ago    1w ago  chat       MLX        healthy\n"
        "bartowski/tiny-GGUF\n"
        "              8bf6502    56 B  1w ago    1w ago  unknown    GGUF       healthy\n"
        "tiny-encoder  05f4cbb   263 B  1w ago    1w ago  embedding  MLX        healthy\n"
        "org/tiny-pt   7152437   196 B  1w ago    1w ago  base       PyTorch    healthy\n"
    )


def test_the_table_at_60_columns(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    program = memory_program(MemoryCache([LONG, *MODELS]), clock=MemoryClock(NOW))
    assert cli("list", "--sort", "used", services=program).out == (
        "NAME          HASH       SIZE  MODIFIED  USED    TYPE\n"
        "new-4bit      74d8ece   481 B  3d ago    3d ago  chat\n"
        "org/bad-4bit  ccb054c   604 B  5d ago    5d ago  chat\n"
        "old-4bit      4bd5cae  5.5 KB  1w ago    1w ago  chat\n"
        "tiny-encoder  05f4cbb   263 B  1w ago    1w ago  embedding\n"
        "some-organisation/a-long-name-of-a-model-Instruct-4bit\n"
        "              e16ae6f   481 B  1w ago    1w ago  chat\n"
    )


def test_looking_at_models_is_not_using_them(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    if not hasattr(os, "O_NOATIME"):
        pytest.skip("this system always takes account of reading")
    model_cache.add(OLD, NEW)
    for blob in model_cache.root.glob("*/blobs/*"):
        os.utime(blob, (NOW, NOW))
    for blob in model_cache.folder(OLD).glob("blobs/*"):
        os.utime(blob, (NOW + DAY, NOW + 2 * DAY))  # read before it was written: the next reading would count
    for options in (("--health",), ("--sort", "used")):
        first = cli("list", "--format", "names", *options).out.splitlines()
    assert first == ["mlx-community/old-4bit", "mlx-community/new-4bit"]


def test_names_go_into_xargs(model_cache: ModelCacheOnDisk, environment: dict[str, str], tmp_path: Path) -> None:
    model_cache.add(OLD, BAD)
    program = f"{sys.executable} -m mlxk2"
    line = f"{program} list --format names | xargs -n1 {program} show --json"
    run = subprocess.run(
        ["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    shown = [json.loads(document)["data"]["model"]["name"] for document in run.stdout.splitlines()]
    assert shown == ["mlx-community/old-4bit", "org/bad-4bit"]


def test_a_model_that_was_read_since_the_last_look_comes_first(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(OLD, NEW)
    for model, when in ((OLD, NOW), (NEW, NOW + DAY), (OLD, NOW + 2 * DAY)):
        (blob, *_) = sorted(model_cache.folder(model).glob("blobs/*"))
        os.utime(blob, (when, blob.stat().st_mtime))
        for _ in range(2):
            assert cli("list", "--sort", "used", "--format", "names").out.splitlines()[0].endswith(model.folder[-8:])
