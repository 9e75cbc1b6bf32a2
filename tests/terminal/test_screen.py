"""What a chat's answers look like in a real terminal: Markdown, reasoning, resizing, and what must not come through."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.terminal.conftest import PROMPT, needs_tmux, terminal_environment
from tests.terminal.scripted import PROSE, WORDS
from tests.terminal.tmux import Tmux

Begin = Callable[..., Tmux]
LAST = f"word{WORDS - 1}"


@pytest.fixture
def begin(folder: Path) -> Iterator[Begin]:
    """`begin("--plain", columns=40)`: a chat with the scripted model has begun."""
    needs_tmux()
    with ExitStack() as terminals:

        def start(*options: str, columns: int = 80, rows: int = 24, **more: str) -> Tmux:
            words = [sys.executable, "-m", "tests.terminal.scripted", "run", "tiny", *options]
            environ = terminal_environment(PYTHONPATH=str(REPOSITORY), **more)
            terminal = terminals.enter_context(Tmux(folder, words, environ, columns, rows))
            terminal.wait(">>>")
            return terminal

        yield start


def asked(terminal: Tmux, question: str) -> list[str]:
    """The rows of the answer, once it is complete."""
    terminal.wait(PROMPT)
    line = f">>> {question}\n"
    before = terminal.screen(scrollback=True).count(line)
    terminal.say(question)
    text = terminal.wait(
        lambda screen: screen.count(line) > before and PROMPT in screen.rsplit(line, 1)[1], scrollback=True
    )
    return text.rsplit(f">>> {question}\n", 1)[1].rsplit("\n\n>>> ", 1)[0].split("\n")


def test_markdown_in_a_narrow_window(begin: Begin) -> None:
    assert asked(begin(columns=40), "markdown") == [
        "Three models",
        "",
        "They are small, and tiny is the",
        "smallest of all of them.",
        "",
        "• one that is long enough to be wrapped",
        "• two",
        "",
        "Name │   Size",
        "─────┼───────",
        "tiny │   1 MB",
        "big  │ 1.5 GB",
        "",
        "```python",
        'print("code that is longer than this win',
        'dow is")',
        "```",
    ]


def test_plain_answers_are_shown_as_they_are_written(begin: Begin) -> None:
    assert asked(begin("--plain"), "markdown")[:5] == [
        "# Three models",
        "",
        "They are **small**, and `tiny` is the smallest of all of them.",
        "",
        "- one that is long enough to be wrapped",
    ]


def test_wide_characters_are_wrapped_where_the_window_ends(begin: Begin) -> None:
    rows = asked(begin(columns=41), "wide")
    assert [len(row) for row in rows] == [20, 20, 14]


def test_what_an_answer_writes_does_not_steer_the_terminal(begin: Begin) -> None:
    terminal = begin()
    rows = asked(terminal, "evil")
    assert rows == [
        r"A \x1b]0;stolen\x07title, \x1b[2J\x1b[Ha cleared screen and \x9b31mred;",
        r"\u202etxet",
        "after",
    ]
    assert terminal.title() != "stolen"


def test_reasoning_is_dimmed_and_ctrl_t_folds_it(begin: Begin) -> None:
    terminal = begin()
    assert asked(terminal, "think") == ["Two and three,", "that makes five.", "", "It is five."]
    assert re.search(r"\x1b\[(0;)?2m(\x1b\[39m\x1b\[49m)?Two and three,", terminal.screen(codes=True))
    terminal.press("C-t")
    terminal.wait("(reasoning is hidden from now on)")
    folded = asked(terminal, "think")
    assert re.fullmatch(r"Thought for \d+\.\d s  \(Ctrl-T shows it\)", folded[0])
    assert folded[1:] == ["It is five."]
    terminal.press("C-t")
    shown = terminal.wait("(reasoning is shown from now on)")
    assert shown.count("that makes five.") == 2


def test_hidden_from_the_start(begin: Begin) -> None:
    assert asked(begin("--hide-reasoning"), "think")[1:] == ["It is five."]


def test_reasoning_on_a_dumb_terminal_is_told_in_words(begin: Begin) -> None:
    terminal = begin(TERM="dumb")
    terminal.say("think")
    terminal.wait(
        "Thinking ...\nTwo and three,\nthat makes five.\n... done thinking.\n\nIt is **five**.\n\n>>>",
    )


@pytest.mark.parametrize("sizes", [((50, 20), (100, 30), (40, 10)), ((30, 24), (80, 12), (60, 40))])
def test_a_window_that_changes_its_size_during_an_answer_shows_every_word_once(
    begin: Begin, sizes: tuple[tuple[int, int], ...]
) -> None:
    terminal = begin()
    terminal.wait(PROMPT)
    terminal.say("prose")
    terminal.wait(lambda _: words(terminal) > 0)
    for columns, rows in sizes:
        seen = words(terminal)
        terminal.resize(columns, rows)
        terminal.wait(lambda _, seen=seen: words(terminal) > seen + 8)  # type: ignore[misc]
    terminal.wait(lambda screen: LAST in screen and PROMPT in screen.rsplit(LAST, 1)[-1])
    shown = terminal.screen(scrollback=True).split(">>> prose\n", 1)[1].rsplit(">>> ", 1)[0]
    assert "".join(shown.split()) == "".join(PROSE.split())


def words(terminal: Tmux) -> int:
    return max([0, *map(int, re.findall(r"word(\d+)\s", terminal.screen(scrollback=True)))])


def test_an_answer_that_is_longer_than_the_window_is_in_the_scrollback_once(begin: Begin) -> None:
    terminal = begin(columns=60, rows=8)
    terminal.wait(PROMPT)
    terminal.say("prose")
    terminal.wait(lambda screen: LAST in screen and PROMPT in screen.rsplit(LAST, 1)[-1])
    text = terminal.screen(scrollback=True)
    assert [int(number) for number in re.findall(r"word(\d+)", text)] == list(range(WORDS))
    assert max(map(len, text.splitlines())) < 60


@pytest.fixture
def loading(folder: Path) -> Path:
    """A file: as long as it is there, the model is being loaded."""
    file = folder / "loading"
    file.touch()
    return file


def test_a_question_can_be_typed_and_taken_back_while_the_model_loads(begin: Begin, loading: Path) -> None:
    terminal = begin(LOADS_WHILE=str(loading))
    terminal.wait(">>> Loading the model (weights); you can type already")
    terminal.say("a question")
    terminal.wait(">>> a question\nLoading the model, weights … 1 s")
    terminal.press("C-c")
    terminal.wait(lambda screen: screen.endswith(">>> a question") and "Loading" not in screen)
    terminal.say(" or two")
    terminal.wait("Loading the model")
    loading.unlink()
    terminal.wait("You asked: a question or two\n\n>>> Ask something  (/help for help)")


def test_keys_between_two_prompts_keep_their_meaning(begin: Begin, loading: Path) -> None:
    terminal = begin(LOADS_WHILE=str(loading))
    terminal.say("a question")
    terminal.wait("Loading the model, weights … 1 s")
    terminal.press("C-d")
    loading.unlink()
    assert terminal.exit_code() == 0
    assert "You asked: a question" in terminal.screen()


def test_the_prompt_says_when_the_model_is_there(begin: Begin, loading: Path) -> None:
    terminal = begin(columns=30, LOADS_WHILE=str(loading))
    terminal.wait("Loading the model")
    loading.unlink()
    assert terminal.wait(">>> /help for help") == "$ chat\n>>> /help for help"


@pytest.mark.parametrize("typed", ["", "/quit", "a question"])
def test_who_leaves_while_the_model_loads_waits_for_nothing(begin: Begin, loading: Path, typed: str) -> None:
    terminal = begin(LOADS_WHILE=str(loading))
    terminal.wait("Loading the model")
    if typed:
        terminal.say(typed)
    if typed == "a question":
        terminal.wait("weights … 1 s")
        terminal.press("C-c")
        terminal.wait(lambda screen: screen.endswith(">>> a question\n>>> a question"))
        terminal.press("C-c")
    if typed != "/quit":
        terminal.press("C-d")
    assert terminal.exit_code() == 0
