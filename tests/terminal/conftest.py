"""Chats in a real terminal, on the demo model."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import MLXK2, environment
from tests.e2e.conftest import demo_cache as demo_cache
from tests.terminal.tmux import Tmux

Chat = Callable[..., Tmux]
PROMPT = "Ask something"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="chat-") as name:
        yield Path(name)


@pytest.fixture
def chat(demo_cache: Path, folder: Path) -> Iterator[Chat]:
    """`chat("--plain", columns=40, TERM="dumb")`: a terminal in which the chat has begun."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    with ExitStack() as terminals:

        def begin(*options: str, columns: int = 80, rows: int = 24, model: str | None = "demo", **more: str) -> Tmux:
            place = folder / str(len(list(folder.iterdir())))
            place.mkdir()
            environ = {"LC_ALL": "C.UTF-8", **environment(demo_cache, XDG_STATE_HOME=str(folder / "state"), **more)}
            environ.update(more)
            for name in ("TERM", "NO_COLOR", "TMUX", "TMUX_PANE"):
                if name not in more:
                    environ.pop(name, None)
            words = [MLXK2, "run", *([model] if model else []), *options]
            return terminals.enter_context(Tmux(place, words, environ, columns, rows))

        yield begin
