"""docs/json-api-specification.md tells the truth: its examples are what the program prints, its tables are complete."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import jsonschema
import pytest

from mlxk2 import __version__
from mlxk2.adapters.memory import StoredModel
from mlxk2.entrypoints.cli import records
from mlxk2.entrypoints.cli.errors import EXIT_CODES
from mlxk2.entrypoints.cli.parser import COMMANDS, JSON_SPECS
from mlxk2.ports import errors
from mlxk2.testing import Pathology, gguf_model, healthy_model, hold_lock, sick_model
from mlxk2.testing.models import stored
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

SPECIFICATION = Path(__file__).parents[2] / "docs" / "json-api-specification.md"
TEXT = SPECIFICATION.read_text(encoding="utf-8")
EXAMPLES: dict[str, str] = dict(re.findall(r"```sh\nmlxk2 ([^\n]+)\n```\n\n```json\n(.+?)```", TEXT, re.DOTALL))
DOCUMENTS: list[str] = re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)

DEPENDS_ON_THE_MACHINE = (
    "version",
    "du",
    "pull",
    "push",
    "search",
    "fit",
    "run",
    "serve",
    "ps",
    "stop",
    "logs",
    "doctor",
    "completion",
    "config",
)
REPEATABLE = {line: text for line, text in EXAMPLES.items() if shlex.split(line)[0] not in DEPENDS_ON_THE_MACHINE}
LOCKED = healthy_model("mlx-community/Llama-3.2-3B-Instruct-4bit")
ETAG = "c0ffee" + 58 * "0"


def two_revisions() -> StoredModel:
    """Two commits that begin alike and differ in one file."""
    model = healthy_model("org/two-revisions")
    (first,) = model.revisions.values()
    readme = stored({"README.md": b"# another text\n"})
    second = replace(first, files={**first.files, **readme})
    old, new = "deadbeef" + 32 * "0", "deadbeef" + 32 * "1"
    return replace(model, revisions={old: first, new: second}, refs={"main": old})


@pytest.fixture
def example_cache(model_cache: ModelCacheOnDisk) -> ModelCacheOnDisk:
    """The cache that the examples come from."""
    return model_cache.add(
        healthy_model("mlx-community/Llama-3.2-1B-Instruct-4bit"),
        LOCKED,
        sick_model(Pathology.MISSING_SHARD, "mlx-community/Phi-3-mini-4bit"),
        gguf_model("org/tiny-GGUF"),
        two_revisions(),
    )


@pytest.mark.parametrize("line", REPEATABLE)
def test_an_example_is_what_the_program_prints(cli: CommandLine, example_cache: ModelCacheOnDisk, line: str) -> None:
    with ExitStack() as stack:
        if "Llama-3.2-3B" in line:
            stack.enter_context(hold_lock(example_cache.root, LOCKED, ETAG))
        printed = cli(*shlex.split(line)).out
    assert json.dumps(json.loads(printed), indent=2, ensure_ascii=False) + "\n" == EXAMPLES[line]


@pytest.mark.parametrize("number", range(len(DOCUMENTS)))
def test_an_example_is_valid_under_the_schema(schema: jsonschema.Draft202012Validator, number: int) -> None:
    schema.validate(json.loads(DOCUMENTS[number]))


def test_every_command_has_an_example() -> None:
    assert {shlex.split(line)[0] for line in EXAMPLES} == set(COMMANDS)


def test_every_fence_stands_on_a_line_of_its_own() -> None:
    assert [line for line in TEXT.splitlines() if "```" in line and line not in ("```", "```json", "```sh")] == []


def test_every_json_block_belongs_to_a_command_line() -> None:
    assert len(DOCUMENTS) == len(EXAMPLES)


def test_every_field_of_every_record_is_described() -> None:
    modules = [import_module(f"{records.__name__}.{module.name}") for module in iter_modules(records.__path__)]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    described = [record for record in found if is_dataclass(record) and record.__module__.startswith(records.__name__)]
    assert len(described) > 50
    missing = [
        f"{record.__name__}.{entry.name}"
        for record in described
        for entry in fields(record)
        if not re.search(rf"`[^`\n]*\b{entry.name}\b[^`\n]*`", TEXT)
    ]
    assert missing == []


def test_every_error_type_has_a_row_with_its_exit_code() -> None:
    for kind in all_errors(errors.Mlxk2Error):
        code = next(code for parent, code in EXIT_CODES if issubclass(kind, parent))
        assert re.search(rf"^\| `{kind.type}` \|.*\| {code} \|$", TEXT, re.MULTILINE), kind


def all_errors(kind: type[errors.Mlxk2Error]) -> Iterator[type[errors.Mlxk2Error]]:
    yield kind
    for child in kind.__subclasses__():
        yield from all_errors(child)


def test_every_exit_code_is_described() -> None:
    assert set(re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)) == {"0", *(str(code) for _, code in EXIT_CODES)}


def test_it_names_the_versions_that_it_describes() -> None:
    assert f"Specification version **{JSON_SPECS[0]}**, as implemented by mlxk2 {__version__}." in TEXT
