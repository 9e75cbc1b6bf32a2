"""A real terminal for tests: a program in tmux, keys in, screen out."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LIMIT = 60.0
_BEFORE = ("trap : INT", "unset COLUMNS LINES")
"""readline, which pytest loads, sets these two where Python does not see it."""
_PAUSE = 0.05


class Tmux:
    """One window with one program, on a tmux server of its own. Use it as a context manager."""

    def __init__(
        self, folder: Path, argv: Sequence[str | Path], environ: Mapping[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self._folder = folder
        self._socket = folder / "tmux"
        self._ended = folder / "ended"
        words = " ".join(_quoted(str(word)) for word in argv)
        script = folder / "program.sh"
        lines = [f"export {name}={_quoted(value)}" for name, value in environ.items() if name.isidentifier()]
        script.write_text(
            "\n".join([*_BEFORE, *lines, "echo '$ chat'", words, f"echo $? >{self._ended}", "read -r _", ""])
        )
        configuration = folder / "tmux.conf"
        configuration.write_text("set -g default-terminal screen-256color\nset -s escape-time 10\n")
        self._start = (
            *("-f", str(configuration), "new-session", "-d", "-x", str(columns), "-y", str(rows)),
            f"exec sh {_quoted(str(script))}",
        )

    def __enter__(self) -> "Tmux":
        self._tmux(*self._start)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """By tmux's names: Enter, C-c, M-Enter, Up."""
        self._tmux("send-keys", *keys)

    def say(self, text: str) -> None:
        self.type(text)
        self.press("Enter")

    def paste(self, text: str) -> None:
        """As a terminal pastes: in brackets, where the program has asked for them."""
        self._tmux("set-buffer", "--", text)
        self._tmux("paste-buffer", "-p", "-r")

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, *, codes: bool = False, scrollback: bool = False) -> str:
        """The rows that are shown, without trailing blanks; the first is that of the shell. `codes`: with colours."""
        options = [*(["-e"] if codes else []), *(["-S", "-"] if scrollback else [])]
        text = self._tmux("capture-pane", "-p", *options)
        return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")

    def title(self) -> str:
        return self._tmux("display-message", "-p", "#{pane_title}").strip()

    def wait(self, condition: "str | Callable[[str], bool]", *, scrollback: bool = False) -> str:
        """Until the screen has this text, or fulfils the condition; the screen then."""
        holds = (lambda screen: condition in screen) if isinstance(condition, str) else condition
        deadline = time.monotonic() + _LIMIT
        while not holds(screen := self.screen(scrollback=scrollback)):
            assert time.monotonic() < deadline, f"not within {_LIMIT:.0f} s; the screen shows:\n{screen}"
            time.sleep(_PAUSE)
        return screen

    def exit_code(self) -> int:
        """Of the program, once it has ended."""
        deadline = time.monotonic() + _LIMIT
        while not (self._ended.exists() and self._ended.read_text().strip()):
            assert time.monotonic() < deadline, f"it does not end; the screen shows:\n{self.screen()}"
            time.sleep(_PAUSE)
        return int(self._ended.read_text())

    def record(self) -> Path:
        """From now on, all that the program writes goes to this file too."""
        file = self._folder / "written"
        file.touch()  # what writes to it begins a little later than tmux returns
        self._tmux("pipe-pane", f"cat >{_quoted(str(file))}")
        return file

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
