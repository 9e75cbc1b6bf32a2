"""`prune` in a real terminal: the plan, the question, and each way to answer it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlxk2.testing import healthy_model, write_cache
from tests.terminal.conftest import Program
from tests.terminal.tmux import Tmux

LOOSE = "c" * 64
MODEL = replace(healthy_model("mlx-community/Llama-3.2-1B-Instruct-4bit"), extra={f"blobs/{LOOSE}": b"loose"})
QUESTION = "Delete all of this and free 5 B? [y/N]"
Begin = Callable[[int], Tmux]


@pytest.fixture
def root(folder: Path) -> Path:
    return write_cache(folder / "hub", [MODEL])


@pytest.fixture
def begin(program: Program, root: Path) -> Begin:
    """`begin(80)`: prune in a terminal of so many columns."""
    return lambda columns: program(root, "prune", columns=columns)


@pytest.mark.parametrize("columns", [80, 60])
def test_a_yes_frees_what_the_table_shows(begin: Begin, root: Path, columns: int) -> None:
    terminal = begin(columns)
    _, header, *rows, question = terminal.wait(lambda screen: QUESTION in screen).splitlines()
    assert header.split() == ["MODEL", "KIND", "WHAT", "SIZE", "AGE"]
    assert rows[0].split()[0] == "Llama-3.2-1B-Instruct-4bit"
    assert rows[-1].split()[-7:-2] == ["blob", "1", "blob", "5", "B"]
    assert question.startswith(QUESTION)
    terminal.say("y")
    assert terminal.exit_code() == 0
    assert "\nFreed 5 B" in terminal.screen()
    assert not (root / MODEL.folder / "blobs" / LOOSE).exists()


@pytest.mark.parametrize(("answer", "code", "sentence"), [("n", 1, "Nothing was deleted"), ("C-c", 130, "Interrupted")])
def test_anything_else_deletes_nothing(begin: Begin, root: Path, answer: str, code: int, sentence: str) -> None:
    terminal = begin(80)
    terminal.wait(lambda screen: QUESTION in screen)
    if answer == "n":
        terminal.say(answer)
    else:
        terminal.press(answer)
    assert terminal.exit_code() == code
    assert sentence in terminal.screen()
    assert (root / MODEL.folder / "blobs" / LOOSE).exists()
