"""`ps --watch` and `logs -f` in a real terminal, beside a real server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MLXK2, environment
from tests.e2e.serving import DEMO, RunningServer, Stream, eventually, long_question, running_server
from tests.terminal.tmux import Tmux

Begin = Callable[..., Tmux]
EARLIER = "what was on the screen"
NONE_RUNNING = "No server of yours is running; start one with: mlxk2 serve"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of this module is known."""
    return tmp_path_factory.mktemp("known")


def start(cache: Path, known: Path) -> AbstractContextManager[RunningServer]:
    return running_server(cache, XDG_RUNTIME_DIR=str(known), XDG_STATE_HOME=str(known / "state"))


@pytest.fixture(scope="module")
def server(demo_cache: Path, known: Path) -> Iterator[RunningServer]:
    with start(demo_cache, known) as server:
        yield server


@pytest.fixture
def loaded(server: RunningServer) -> RunningServer:
    """With the demo model loaded and nobody asking it."""
    assert server.state()["state"] == "loaded"
    assert eventually(server.is_at_rest)
    return server


@pytest.fixture
def begin(demo_cache: Path, folder: Path, known: Path) -> Iterator[Begin]:
    """`begin("ps", "--watch", columns=40, TERM="dumb")`: the program in a terminal that has shown something before."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    with ExitStack() as terminals:

        def run(*words: str, columns: int = 80, rows: int = 24, known: Path = known, **more: str) -> Tmux:
            place = folder / str(len(list(folder.iterdir())))
            place.mkdir()
            places = {"XDG_RUNTIME_DIR": str(known), "XDG_STATE_HOME": str(known / "state")}
            environ = {"LC_ALL": "C.UTF-8", **environment(demo_cache, **places), **more}
            for name in {"TERM", "NO_COLOR", "TMUX", "TMUX_PANE", "COLUMNS", "LINES"} - set(more):
                environ.pop(name, None)
            argv = ["sh", "-c", 'echo "$0"; exec "$@"', EARLIER, str(MLXK2), *words]
            return terminals.enter_context(Tmux(place, argv, environ, columns, rows))

        yield run


def watch(begin: Begin, columns: int = 80, rows: int = 24, **more: Any) -> Tmux:
    return begin("ps", "--watch", "0.2", columns=columns, rows=rows, **more)


def test_the_table_is_drawn_in_place_below_what_was_there(begin: Begin, loaded: RunningServer) -> None:
    terminal = watch(begin)
    idle = terminal.wait(lambda screen: DEMO in screen and "in 4m" in screen)
    stream = Stream(loaded, long_question(1900)).begin()
    busy = terminal.wait("in use")
    stream.vanish()
    terminal.wait(lambda screen: "in 4m" in screen or "in 5m" in screen)
    for screen in (idle, busy, terminal.screen(scrollback=True)):
        assert EARLIER in screen
        assert screen.count("NAME ") == screen.count(DEMO) == screen.count("Ctrl-C ends it") == 1


def test_ctrl_c_leaves_the_table_and_nothing_else(begin: Begin, loaded: RunningServer) -> None:
    terminal = watch(begin)
    terminal.wait("Ctrl-C ends it")
    terminal.press("C-c")
    assert terminal.exit_code() == 130
    screen = terminal.screen()
    assert screen.endswith("Every 0.2 s; Ctrl-C ends it")
    assert DEMO in screen
    assert loaded.url in screen


@pytest.mark.usefixtures("loaded")
def test_it_writes_nothing_that_a_killed_program_would_leave_switched(begin: Begin) -> None:
    terminal = watch(begin)
    terminal.wait("Ctrl-C ends it")
    file = terminal.record()
    assert eventually(lambda: file.exists() and file.read_bytes().count(b"Ctrl-C ends it") >= 3)
    written = file.read_bytes()
    assert b"\x1b[?" not in written
    assert b"\x1b[2J" not in written


@pytest.mark.parametrize("columns", [72, 60, 50, 33, 100])
@pytest.mark.usefixtures("loaded")
def test_a_window_of_another_width_shows_one_whole_picture(begin: Begin, columns: int) -> None:
    terminal = watch(begin)
    terminal.wait("Ctrl-C ends it")
    terminal.resize(columns, 24)
    sign = "expires:" if columns < 61 else "NAME "

    def is_settled(screen: str) -> bool:
        lines = screen.splitlines()
        return lines[0].startswith(("NAME ", DEMO)) and screen.count(DEMO) == screen.count(sign) == 1

    screen = terminal.wait(is_settled)
    assert max(map(len, screen.splitlines())) < columns
    assert screen.count("Ctrl-C ends it") == 1


@pytest.mark.usefixtures("loaded")
def test_narrow_from_the_start_it_has_a_line_for_each_thing(begin: Begin) -> None:
    lines = watch(begin, columns=40).wait("Ctrl-C ends it").splitlines()
    place = lines.index(DEMO)
    assert lines[place + 1].endswith(" of memory")
    assert lines[place + 2].startswith("  0 running, 0 waiting, ")
    assert lines[place + 3].startswith("  expires: in ")


@pytest.mark.usefixtures("loaded")
def test_a_low_window_says_how_much_more_there_is(begin: Begin) -> None:
    screen = watch(begin, rows=4).wait("more")
    assert screen.splitlines()[-3:][0].startswith("NAME ")
    assert screen.splitlines()[-1] == "… 3 more"


def test_servers_come_and_go_while_it_watches(begin: Begin, demo_cache: Path, tmp_path: Path) -> None:
    terminal = watch(begin, known=tmp_path)
    terminal.wait(NONE_RUNNING)
    with start(demo_cache, tmp_path) as server:
        terminal.wait("No model is loaded; the first request for a model loads it")
        server.state()
        terminal.wait(DEMO)
    screen = terminal.wait(NONE_RUNNING)
    assert DEMO not in screen


@pytest.mark.usefixtures("loaded")
def test_a_terminal_that_cannot_draw_gets_one_look_after_the_other(begin: Begin) -> None:
    terminal = watch(begin, TERM="dumb")
    screen = terminal.wait(lambda screen: screen.count(DEMO) >= 3)
    assert screen.count("Server at ") < screen.count(DEMO)
    file = terminal.record()
    assert eventually(lambda: file.exists() and DEMO.encode() in file.read_bytes())
    assert b"\x1b" not in file.read_bytes()
    terminal.press("C-c")
    assert terminal.exit_code() == 130


@pytest.mark.usefixtures("loaded")
def test_no_colour_means_none(begin: Begin) -> None:
    plain = watch(begin, NO_COLOR="1")
    plain.wait("Ctrl-C ends it")
    assert "\x1b[" not in plain.screen(codes=True)
    coloured = watch(begin)
    coloured.wait("Ctrl-C ends it")
    assert "\x1b[1mNAME" in coloured.screen(codes=True)


def test_a_log_is_followed_until_ctrl_c(begin: Begin, loaded: RunningServer) -> None:
    terminal = begin("logs", "-f", "-n", "1", columns=200)
    terminal.wait("The log of the server on port")
    loaded.chat("hello")
    terminal.wait("POST /v1/chat/completions 200")
    terminal.press("C-c")
    assert terminal.exit_code() == 130
    assert "Interrupted" not in terminal.screen()
