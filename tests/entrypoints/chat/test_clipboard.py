"""An answer on its way to the clipboard."""

import base64
import os
import shutil
import subprocess
import tty
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mlxk2.entrypoints.cli.chat.clipboard import copy

TEXT = "Grüße: 🌳\n\ttwo lines\n"
NONE = "There is no clipboard here"
ASKED = "The last answer was sent to the terminal's clipboard; not every terminal takes it."


class Pty:
    """A terminal of which a test reads what was written to it."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)

    def written(self) -> bytes:
        try:
            return os.read(self._master, 200_000)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def terminal() -> Iterator[Pty]:
    pty = Pty()
    yield pty
    pty.close()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a program into the path that writes what it gets to the file that is returned, and ends with `code`."""

    def program(name: str, code: int = 0) -> Path:
        got, path = tmp_path / "got", tmp_path / name
        path.write_text(f'#!/bin/sh\n(echo "$@"; echo "${{LC_CTYPE}}"; cat) > "{got}"\nexit {code}\n')
        path.chmod(0o700)
        return got

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return program


def env(**more: str) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "TERM": "xterm", **more}


def test_a_terminal_is_asked_with_osc_52(terminal: Pty) -> None:
    assert copy(TEXT, env(), terminal.path) == ASKED
    assert terminal.written() == b"\x1b]52;c;" + base64.b64encode(TEXT.encode()) + b"\x07"


@pytest.mark.parametrize(
    ("name", "variable", "arguments"),
    [("wl-copy", "WAYLAND_DISPLAY", ""), ("xclip", "DISPLAY", "-selection clipboard")],
)
def test_a_program_of_the_desktop_comes_first(
    name: str, variable: str, arguments: str, terminal: Pty, program: Callable[..., Path]
) -> None:
    got = program(name)
    assert copy(TEXT, env(**{variable: ":0"}), terminal.path) == f"The last answer is on the clipboard ({name})."
    assert got.read_text() == f"{arguments}\n\n{TEXT}"
    assert terminal.written() == b""


def test_pbcopy_is_told_that_it_gets_utf_8(
    terminal: Pty, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    got = program("pbcopy")
    assert copy(TEXT, env(LC_CTYPE="C"), terminal.path) == "The last answer is on the clipboard (pbcopy)."
    assert got.read_text() == f"\nUTF-8\n{TEXT}"


def test_without_a_desktop_its_program_is_left_alone(terminal: Pty, program: Callable[..., Path]) -> None:
    got = program("wl-copy")
    assert copy(TEXT, env(DISPLAY=""), terminal.path) == ASKED
    assert not got.exists()


@pytest.mark.parametrize("variable", ["SSH_CONNECTION", "SSH_TTY"])
def test_through_ssh_the_clipboard_is_the_terminals(variable: str, terminal: Pty, program: Callable[..., Path]) -> None:
    got = program("xclip")
    assert copy(TEXT, env(DISPLAY=":0", **{variable: "x"}), terminal.path) == ASKED
    assert not got.exists()


def test_a_program_that_fails_is_passed_over(terminal: Pty, program: Callable[..., Path]) -> None:
    program("xclip", code=1)
    assert copy(TEXT, env(DISPLAY=":9"), terminal.path) == ASKED
    assert copy(TEXT, env(WAYLAND_DISPLAY="not-there"), terminal.path) == ASKED


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_terminal_without_codes_is_sent_none(term: str, terminal: Pty) -> None:
    assert copy(TEXT, env(TERM=term), terminal.path).startswith(NONE)
    assert terminal.written() == b""


def test_where_there_is_no_terminal_none_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert copy(TEXT, env(), str(file)).startswith(NONE)
    assert not file.exists()
    file.write_text("precious")
    assert copy(TEXT, env(), str(file)).startswith(NONE)
    assert file.read_text() == "precious"


def test_what_terminals_would_drop_is_not_sent(terminal: Pty) -> None:
    assert "too long" in copy("x" * 75_001, env(), terminal.path)
    assert terminal.written() == b""


def test_text_that_is_no_unicode_is_copied_as_far_as_it_is(program: Callable[..., Path], terminal: Pty) -> None:
    got = program("wl-copy")
    copy("a\ud800b", env(WAYLAND_DISPLAY="w"), terminal.path)
    assert got.read_text() == "\n\na?b"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_in_tmux_it_is_a_buffer_of_tmux(tmp_path: Path, terminal: Pty) -> None:
    socket = f"{tmp_path}/tmux"
    tmux = ("tmux", "-f", "/dev/null", "-S", socket)
    subprocess.run([*tmux, "new-session", "-d", "sleep 600"], check=True)
    try:
        assert copy(TEXT, env(TMUX=f"{socket},1,0"), terminal.path) == "The last answer is on the clipboard (tmux)."
        shown = subprocess.run([*tmux, "show-buffer"], check=True, capture_output=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    assert shown.decode() == TEXT
    assert copy(TEXT, env(TMUX=f"{socket},1,0"), terminal.path) == ASKED
