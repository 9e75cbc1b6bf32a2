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
def chat(demo_cache: Path, folder: Path) -> Iterator[Chat]:
    """`chat("--plain", columns=40, TERM="dumb")`: a terminal in which the chat has begun."""
    needs_tmux()
    with ExitStack() as terminals:

        def begin(*options: str, columns: int = 80, rows: int = 24, model: str | None = "demo", **more: str) -> Tmux:
            place = folder / str(len(list(folder.iterdir())))
            place.mkdir()
            environ = terminal_environment(HF_HUB_CACHE=str(demo_cache), XDG_STATE_HOME=str(folder / "state"), **more)
            words: list[str | Path] = [MLXK2, "run", *([model] if model else []), *options]
            return terminals.enter_context(Tmux(place, words, environ, columns, rows))

        yield begin
