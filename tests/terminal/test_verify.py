"""The bars of `verify` in a real terminal."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlxk2.testing import healthy_model, write_cache
from tests.terminal.conftest import Program
from tests.terminal.tmux import Tmux

MODEL = healthy_model("org/large")
LARGE = 2 * (os.cpu_count() or 1)
FILES = LARGE + len(next(iter(MODEL.revisions.values())).files)
Begin = Callable[[int], Tmux]


@pytest.fixture
def begin(program: Program, folder: Path) -> Begin:
    """`begin(80)`: verify in a terminal of so many columns, on files that keep it busy for a long time."""
    root = write_cache(folder / "hub", [MODEL])
    (snapshot,) = (root / MODEL.folder / "snapshots").iterdir()
    for number in range(LARGE):
        name = f"{number:064x}"
        with (root / MODEL.folder / "blobs" / name).open("wb") as file:
            file.truncate(1_000_000_000_000)
        (snapshot / f"{number}-with-quite-a-long-name.safetensors").symlink_to(f"../../blobs/{name}")
    return lambda columns: program(root, "verify", columns=columns, XDG_CACHE_HOME=str(folder / "memory"))


@pytest.mark.parametrize("columns", [80, 60])
def test_an_interruption_leaves_no_bar_behind(begin: Begin, columns: int) -> None:
    terminal = begin(columns)
    screen = terminal.wait(lambda screen: "all files" in screen and "0-w" in screen and "B/s" in screen)
    assert max(len(line) for line in screen.splitlines() if "━" in line) < columns, screen
    terminal.press("C-c")
    assert terminal.exit_code() == 130
    left = terminal.screen()
    assert "━" not in left
    assert "all files" not in left
    assert "^C" not in left
    assert left.splitlines()[1].startswith("Checking 1 model: ")
    sentence = f"mlxk2: Interrupted before the first of {FILES} files was read to its end"
    assert "".join(left.split()).endswith("".join(sentence.split()))  # wherever the terminal breaks it
