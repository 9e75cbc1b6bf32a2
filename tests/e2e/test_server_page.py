"""What docs/server.md and the README show works: their Python programs and the command for curl, word for word."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.serving import PATIENCE, RunningServer, running_server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "server.md").read_text()
PROGRAMS: list[str] = re.findall(r"```python\n(.+?)```", PAGE + (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS: list[str] = re.findall(r"```sh\n(curl .+?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(demo_cache) as running:
        yield running


def printed(server: RunningServer, *command: str) -> str:
    """What a command prints, its address changed to that of the test's server."""
    words = [word.replace("http://127.0.0.1:8000", server.url) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout


def test_there_is_a_program_for_each_client_and_a_command() -> None:
    assert [len(PROGRAMS), len(COMMANDS)] == [3, 1]


@pytest.mark.parametrize("program", PROGRAMS, ids=["openai", "anthropic", "readme"])
def test_a_program_of_the_pages_prints_an_answer(server: RunningServer, program: str) -> None:
    assert "mlxk2" in printed(server, sys.executable, "-c", program)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_the_page_prints_a_completion(server: RunningServer, command: str) -> None:
    completion = json.loads(printed(server, "sh", "-c", command))
    assert "mlxk2" in completion["choices"][0]["message"]["content"]
