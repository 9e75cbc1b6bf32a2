"""Shared fixtures: an isolated environment, and every JSON output of the suite held against the published schema."""

import json
import os

os.environ.pop("PYTHONUNBUFFERED", None)  # users have none, and it hides what becomes of text that waits to be written
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when huggingface_hub is imported, and some tests import it first
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from mlxk2.configuration.options import FILE_VARIABLE, OPTIONS

if TYPE_CHECKING:
    from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

pytest_plugins = ["mlxk2.testing.plugin"]

REPOSITORY = Path(__file__).parent.parent
_VARIABLES = (
    "NO_COLOR",
    "COLUMNS",
    "MLXK2_JSON_SPEC",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HUGGINGFACE_HUB_CACHE",
    *(option.variable for option in OPTIONS),
    FILE_VARIABLE,
)


@pytest.fixture(autouse=True, scope="session")
def _own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers of whole modules do not meet those of the user, nor do their logs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("memory")))
        yield


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache-here"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-configuration-here"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # counts only when it is there
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no-state-here"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-memory-here"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there: no test leaves this machine


@pytest.fixture(scope="session")
def schema() -> jsonschema.Draft202012Validator:
    document: dict[str, Any] = json.loads((REPOSITORY / "docs" / "json-api-schema.json").read_text())
    return jsonschema.Draft202012Validator(document)


def check_against(schema: jsonschema.Draft202012Validator, out: str) -> None:
    """Hold what a command printed against the schema, when it is JSON at all: a document, or events line by line."""
    if out.startswith('{"event"'):
        whole: dict[str, Any] = dict(schema.schema) if isinstance(schema.schema, dict) else {}
        events = schema.evolve(schema={**whole, "anyOf": [{"$ref": "#/$defs/event"}]})
        for line in out.splitlines():
            events.validate(json.loads(line))
    elif out.startswith("{"):
        schema.validate(json.loads(out))


@pytest.fixture
def cli(mlxk2_cli: "CommandLine", schema: jsonschema.Draft202012Validator) -> "Iterator[CommandLine]":
    """The command line; after the test, every JSON document and event it printed is checked against the schema."""
    yield mlxk2_cli
    for run in mlxk2_cli.runs:
        check_against(schema, run.out)


@pytest.fixture
def environment(model_cache: "ModelCacheOnDisk") -> dict[str, str]:
    """The environment for a process of its own on the test's cache."""
    return {**os.environ, "HF_HUB_CACHE": str(model_cache.root)}
