"""What a user installs: built as a user's pip would, from a source distribution, then looked into."""

import configparser
import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from mlxk2 import __version__
from mlxk2.entrypoints.cli.errors import EXIT_CODES
from mlxk2.entrypoints.cli.parser import COMMANDS, SUMMARIES

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "mlxk2"
DATA = f"mlxk_json-{__version__}.data/data/share"
INFO = f"mlxk_json-{__version__}.dist-info"
MAN_PAGE = f"{DATA}/man/man1/mlxk2.1"
NOT_SOURCE = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.egg-info", ".*cache*", "build", "dist", "man")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked; built with the tools that are installed, so that no network is needed."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "source", ignore=NOT_SOURCE)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place / "dist"), str(place / "source")],
        env={**os.environ, "COLUMNS": "40"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout
    (archive,) = (place / "dist").glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(place / "unpacked")
    return place / "unpacked"


@pytest.fixture
def page(wheel: Path) -> str:
    """The source of the manual page, with hyphens as they are typed."""
    return (wheel / MAN_PAGE).read_text().replace(r"\-", "-")


def sections(page: str) -> dict[str, str]:
    """The page's sections and the commands' subsections by heading, a command's other names left out."""
    parts = re.split(r"^\.S[HS] (?:\\fB)?(.+?)(?: \(\w+\))?(?:\\fR)?$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def metadata(wheel: Path) -> Message:
    return email.message_from_string((wheel / INFO / "METADATA").read_text())


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_mlxk2_is_the_only_package(wheel: Path) -> None:
    assert {path.name for path in wheel.iterdir()} == {"mlxk2", DATA.split("/")[0], INFO}
    assert (wheel / INFO / "top_level.txt").read_text() == "mlxk2\n"


def test_every_source_file_is_in_it_and_nothing_else(wheel: Path) -> None:
    sources = {name for name in files_below(SOURCES) if "__pycache__" not in name}
    assert files_below(wheel / "mlxk2") == sources
    assert "py.typed" in sources


def test_the_demo_model_is_in_it(wheel: Path) -> None:
    demo = wheel / "mlxk2" / "assets" / "demo"
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= files_below(demo)
    for name in files_below(demo):
        assert (demo / name).read_bytes() == (SOURCES / "assets" / "demo" / name).read_bytes()


def test_the_files_outside_the_package_go_where_systems_look_for_them(wheel: Path) -> None:
    assert files_below(wheel / DATA) == {
        "man/man1/mlxk2.1",
        "man/man1/mlxk-json.1",
        *(f"man/man1/mlxk2-{command}.1" for command in COMMANDS),
        "bash-completion/completions/mlxk2.bash",
        "bash-completion/completions/mlxk-json.bash",
        "zsh/site-functions/_mlxk2",
    }


def test_both_commands_are_installed(wheel: Path) -> None:
    points = configparser.ConfigParser()
    points.read(wheel / INFO / "entry_points.txt")
    assert dict(points["console_scripts"]) == {"mlxk2": "mlxk2.cli:main", "mlxk-json": "mlxk2.cli:main"}


def test_name_version_python_and_licence_are_declared(wheel: Path) -> None:
    declared = metadata(wheel)
    assert (declared["Name"], declared["Version"]) == ("mlxk-json", __version__)
    assert declared["Requires-Python"] == ">=3.11"
    assert declared["License-Expression"] == "MIT"
    assert (wheel / INFO / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_tools_for_tests_are_not_required_by_users(wheel: Path) -> None:
    required = {
        re.split(r"[^A-Za-z0-9_-]", line)[0]
        for line in metadata(wheel).get_all("Requires-Dist", [])
        if "extra ==" not in line
    }
    assert required == {
        "dependency-injector",
        "hf-xet",
        "httptools",
        "numpy",
        "huggingface_hub",
        "llguidance",
        "mlx",
        "mlx-lm",
        "msgspec",
        "packaging",
        "pathspec",
        "prometheus-client",
        "prompt_toolkit",
        "rich",
        "starlette",
        "uvicorn",
    }


def test_the_unpacked_wheel_runs(wheel: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mlxk2", "show", "demo"],
        env={**os.environ, "PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "mlxk2 pull demo" in ran.stderr


def test_the_manual_page_describes_every_command(page: str) -> None:
    found = sections(page)
    for command in COMMANDS:
        assert f"\nmlxk2 {command} [-h]" in found[f"mlxk2 {command}"], command
        assert "usage:" not in found[f"mlxk2 {command}"]
    assert r"\fB--fail\fR" in found["mlxk2 health"]
    assert "Check the files of the models in the cache, offline" in found["mlxk2 health"]


def test_the_manual_page_has_the_options_of_all_commands_once(page: str) -> None:
    assert page.count(r"\fB--json\fR") == 1
    assert r"\fB--json\fR" in sections(page)["OPTIONS"]


def test_the_manual_page_says_what_it_is_and_which_version(page: str) -> None:
    assert re.match(rf'\.TH MLXK2 "1" "[-\d]+" "mlxk2 {re.escape(__version__)}" "User Commands"\n', page)
    assert sections(page)["NAME"].startswith("\nmlxk2 - find, check, download, run and serve MLX language models")


def test_the_manual_page_lists_every_exit_status(page: str) -> None:
    listed = re.findall(r"^\.B (\d+)$", sections(page)["EXIT STATUS"], re.MULTILINE)
    assert listed == ["0", *sorted({str(code) for _, code in EXIT_CODES}, key=int)]


def test_no_line_of_the_manual_page_is_taken_for_an_unknown_request(page: str) -> None:
    """A line that begins with an apostrophe, or a dot and no request, would be missing from what people read."""
    known = r"\.(TH|SH|SS|TP|PP|B|BR|I|RS|RE|EX|EE)\b"
    lost = [line for line in page.splitlines() if line.startswith(("'", ".")) and not re.match(known, line)]
    assert lost == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_manual_page_of_its_own(wheel: Path, command: str) -> None:
    page = (wheel / DATA / f"man/man1/mlxk2-{command}.1").read_text().replace(r"\-", "-")
    assert page.startswith(f".TH MLXK2-{command.upper()} ")
    found = sections(page)
    assert found["NAME"] == f"\nmlxk2-{command} - {SUMMARIES[command]}\n"
    assert f"{command} [-h]" in found["SYNOPSIS"]
    assert r"\fB--json\fR" in found["OPTIONS"]
    assert ".BR mlxk2 (1)" in found["SEE ALSO"]


def test_the_second_name_has_the_same_manual_page(wheel: Path) -> None:
    assert (wheel / DATA / "man/man1/mlxk-json.1").read_text() == ".so man1/mlxk2.1\n"


@pytest.mark.parametrize("name", ["mlxk2.bash", "mlxk-json.bash"])
def test_bash_can_read_the_completion(wheel: Path, name: str) -> None:
    script = wheel / DATA / "bash-completion" / "completions" / name
    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    loaded = ["bash", "-c", f'. "{script}"; complete -p mlxk2 mlxk-json']
    registered = subprocess.run(loaded, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[-1] for line in registered] == ["mlxk2", "mlxk-json"]
