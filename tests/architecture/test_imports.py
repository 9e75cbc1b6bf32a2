"""Start-up, counted in modules and not in milliseconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlxk2
from mlxk2.testing import gguf_model, healthy_model, write_cache

HEAVY = (
    "mlx",
    "mlx_lm",
    "transformers",
    "tokenizers",
    "numpy",
    "huggingface_hub",
    "jinja2",
    "rich",
    "httpx",
    "prompt_toolkit",
)
PACKAGE = Path(mlxk2.__file__).parent
MODULES = sorted(
    ".".join(("mlxk2", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"  # importing it runs the program, which the end-to-end tests do
)


def loaded_after(argv: list[str], cache: Path) -> set[str]:
    """Modules in memory after a command, beyond those of a bare interpreter."""
    code = (
        "import sys; bare = set(sys.modules)\n"
        "from mlxk2.cli import main\n"
        f"code = main({argv!r})\n"
        "import json; print(json.dumps([code, sorted(set(sys.modules) - bare)]), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_CACHE": str(cache), "XDG_RUNTIME_DIR": str(cache.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    exit_code, modules = json.loads(result.stderr.splitlines()[-1])
    assert exit_code == 0
    return set(modules)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "hub", [healthy_model(shards=2), gguf_model()])


@pytest.mark.parametrize("argv", [["--version"], ["version"], ["--help"]])
def test_the_version_and_the_help_need_the_parser_and_little_else(argv: list[str], cache: Path) -> None:
    modules = loaded_after(argv, cache)
    assert len({module for module in modules if module.startswith("mlxk2")}) <= 17
    assert len(modules) <= 60
    assert not modules & {"dataclasses", "dependency_injector", "inspect", "traceback", "subprocess"}


@pytest.mark.parametrize(
    "argv",
    [
        *([], ["list", "--json"], ["list"], ["list", "--format", "csv"], ["health"], ["verify"]),
        *(["show", "tiny-4bit"], ["rm", "tiny-4bit", "--dry-run"], ["du"], ["du", "--json"], ["ps"]),
        *(["prune", "--dry-run"], ["prune", "--dry-run", "--json"]),
    ],
)
def test_reading_the_cache_loads_no_heavy_library(argv: list[str], cache: Path) -> None:
    tops = {module.partition(".")[0] for module in loaded_after(argv, cache)}
    assert not tops & {*HEAVY, "msgspec", "ctypes", "http", "email"}


def test_ps_without_a_server_does_not_load_what_speaks_to_one(cache: Path) -> None:
    modules = loaded_after(["ps"], cache)
    assert not [name for name in modules if name.startswith(("mlxk2.adapters.remote", "mlxk2.domain.inspection"))]
    assert not modules & {"msgspec", "urllib.parse", "mlxk2.ports.engine", "mlxk2.entrypoints.cli.envelope"}
    assert len({module for module in modules if module.startswith("mlxk2")}) <= 42


ATTACHED_RUN = """
import sys; bare = set(sys.modules)
import mlxk2.entrypoints.cli.commands.run, mlxk2.container
import mlxk2.adapters.hfcache, mlxk2.adapters.servers, mlxk2.adapters.remote.opening
"""


def said_by(code: str) -> set[str]:
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_an_attached_run_loads_nothing_for_programs_files_or_models_of_its_own() -> None:
    modules = said_by(f"{ATTACHED_RUN}print(*set(sys.modules) - bare)")
    assert not {module.partition(".")[0] for module in modules} & {*HEAVY, "msgspec", "ctypes", "http", "ssl", "uuid"}
    assert not modules & {
        "urllib.parse",
        "mlxk2.domain.attachments",
        "mlxk2.entrypoints.cli.files",
        "mlxk2.entrypoints.cli.records",
        "mlxk2.ports.held",
        "mlxk2.ports.sources",
        "mlxk2.ports.questions",
        "mlxk2.ports.transfer",
    }
    assert len({module for module in modules if module.startswith("mlxk2")}) <= 97


def test_an_attached_run_defines_few_dataclasses() -> None:
    """Half a millisecond each."""
    classes = said_by(
        f"{ATTACHED_RUN}\n"
        "for name, module in sys.modules.items():\n"
        "    for value in vars(module).values() if name.startswith('mlxk2') else ():\n"
        "        if isinstance(value, type) and '__dataclass_fields__' in vars(value): print(value.__name__)"
    )
    assert len(classes) <= 17, sorted(classes)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported_first(module: str) -> None:
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", f"import {module}"]
    result = subprocess.run(command, env=unmeasured, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
