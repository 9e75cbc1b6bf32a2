"""Pytest fixtures for programs that use mlxk2; switch them on with `pytest_plugins = ["mlxk2.testing.plugin"]`."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from mlxk2.adapters.memory import StoredModel
from mlxk2.cli import real_services
from mlxk2.entrypoints.cli.app import run
from mlxk2.entrypoints.cli.context import Services
from mlxk2.testing.disk import write_model
from mlxk2.testing.program import Run

_CACHE_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "MLXK2_JSON_SPEC")


class ModelCacheOnDisk:
    """A real cache folder that the environment points at for the length of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, *models: StoredModel) -> "ModelCacheOnDisk":
        """Write the models; returns itself."""
        for model in models:
            write_model(self.root, model)
        return self

    def folder(self, model: StoredModel) -> Path:
        return self.root / model.folder


@pytest.fixture
def model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCacheOnDisk:
    """An empty cache below `tmp_path`; `HF_HUB_CACHE` names it and no other variable interferes."""
    for name in _CACHE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "hub"
    root.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "memory"))
    return ModelCacheOnDisk(root)


class CommandLine:
    """Runs commands in this process and keeps what they printed, in order."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def __call__(self, *argv: str, services: Callable[[], Services] = real_services) -> Run:
        """One command, as typed after `mlxk2`; on the real adapters unless others are given."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(argv, services, os.environ)
        self.runs.append(Run(code, out.getvalue(), err.getvalue()))
        return self.runs[-1]


@pytest.fixture
def mlxk2_cli() -> CommandLine:
    """The command line as a function: `mlxk2_cli("list", "--json").out`."""
    return CommandLine()
