"""Chats in a real terminal, on the demo model."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import MLXK2
from tests.e2e.conftest import demo_cache as demo_cache
from tests.terminal.tmux import Tmux

Program = Callable[..., Tmux]
Chat = Callable[..., Tmux]
PROMPT = "Ask something"


def needs_tmux() -> None:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")


def terminal_environment(**more: str) -> dict[str, str]:
    """That of the test, without what tells of the terminal in which the tests themselves run."""
    outside = {"TERM", "NO_COLOR", "TMUX", "TMUX_PANE", "COLUMNS", "LINES"}
    inherited = {name: value for name, value in os.environ.items() if name not in outside}
    return {**inherited, "LC_ALL": "C.UTF-8", **more}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="chat-") as name:
        yield Path(name)


@pytest.fixture
def program(folder: Path) -> Iterator[Program]:
    """`program(cache, "run", "demo", columns=40, TERM="dumb")`: a terminal in which mlxk2 runs on that cache."""
    needs_tmux()
    with ExitStack() as terminals:

        def begin(cache: Path, *words: str, columns: int = 80, rows: int = 24, **more: str) -> Tmux:
            place = folder / str(len(list(folder.iterdir())))
            place.mkdir()
            environ = terminal_environment(HF_HUB_CACHE=str(cache), XDG_STATE_HOME=str(folder / "state"), **more)
            return terminals.enter_context(Tmux(place, [MLXK2, *words], environ, columns, rows))

        yield begin


@pytest.fixture
def chat(demo_cache: Path, program: Program) -> Chat:
    """`chat("--plain", columns=40, TERM="dumb")`: a terminal in which the chat has begun."""

    def begin(*options: str, columns: int = 80, rows: int = 24, model: str | None = "demo", **more: str) -> Tmux:
        words = ["run", *([model] if model else []), *options]
        return program(demo_cache, *words, columns=columns, rows=rows, **more)

    return begin
