"""The installed program as processes of its own, on a cache that holds the demo model."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import check_against
from tests.loopback_hub import LoopbackHub

MLXK2 = Path(sys.executable).with_name("mlxk2")
Process = subprocess.CompletedProcess[str]
Program = Callable[..., Process]


def environment(cache: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "HF_HUB_CACHE": str(cache), **more}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a cache that is not there yet."""
    return tmp_path / "hub"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """An empty Hub on loopback."""
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the demo model, installed by the program itself. Shared: tests must not change it."""
    root = tmp_path_factory.mktemp("demo") / "hub"
    subprocess.run([MLXK2, "pull", "demo"], env=environment(root), check=True, capture_output=True)
    return root


@pytest.fixture
def program(demo_cache: Path, schema: jsonschema.Draft202012Validator) -> Program:
    """`program("run", "demo", "hi")` → the finished process, its JSON checked against the schema."""

    def call(*argv: str, stdin: str | None = None, cache: Path = demo_cache, **more: str) -> Process:
        result = subprocess.run(
            [MLXK2, *argv],
            env=environment(cache, **more),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        check_against(schema, result.stdout)
        return result

    return call
