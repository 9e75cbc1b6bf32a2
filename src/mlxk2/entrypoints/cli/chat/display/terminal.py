"""The terminal that a chat writes to: its size, its characters, its keyboard.

Text of a model passes `harmless` before anything else is done with it: no character of it steers the terminal.
"""

import contextlib
import os
import re
import shutil
import sys
import termios
from collections.abc import Iterator
from typing import Any, TextIO

from mlxk2.entrypoints.cli.chat.display.styled import Row, ansi, plain
from mlxk2.entrypoints.cli.output import writing

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line end; separators that act as line ends; what turns the direction of writing."""
_TAB = "    "


class Terminal:
    """`moves`: the cursor can be moved, rows drawn again. `colour` and `styles` tell what text may look like."""

    def __init__(self, file: TextIO, *, moves: bool, colour: bool) -> None:
        self.file = file
        self.moves = moves
        self.colour = colour
        self.encoding = file.encoding or "ascii"
        self._as_found: list[Any] | None = None
        self.ascii_only = not self.encoding.lower().replace("-", "").startswith("utf")

    def size(self) -> os.terminal_size:
        """As it is now: COLUMNS and LINES speak of how it was at the start."""
        try:
            found = os.get_terminal_size(self.file.fileno())
        except (OSError, ValueError):
            return shutil.get_terminal_size()
        return found if found.columns and found.lines else os.terminal_size((80, 24))

    def write(self, text: str) -> None:
        """Shown at once. Raises BrokenPipeError or AccessProblem when the terminal is gone."""
        with writing():
            self.file.write(text)
            self.file.flush()

    def ansi(self, row: Row) -> str:
        return ansi(row, colour=self.colour) if self.moves else plain(row)

    def harmless(self, text: str) -> str:
        """The text in characters that the terminal has, with those spelled out that would steer it."""
        spelled = _CONTROL.sub(_spelled_out, text.replace("\r\n", "\n").replace("\t", _TAB))
        return spelled.encode(self.encoding, "replace").decode(self.encoding)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Keys are not shown as they are typed, and wait for the next prompt; Ctrl-C works as ever.

        It lasts from before the first prompt until after the last: a key that is pressed between two of them, Ctrl-D
        for one, would lose its meaning if the terminal made lines of keys there.
        """
        before = self._keyboard()
        if before is None:
            yield
            return
        during = list(before)
        during[0] &= ~termios.ICRNL
        during[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        during[3] |= termios.NOFLSH  # Ctrl-C stops the answer, and takes away nothing that was typed
        self._as_found = before
        with self._keyboard_set(during):
            yield

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """To another program, which finds the keyboard as this one did."""
        if self._as_found is None:
            yield
            return
        with self._keyboard_set(self._as_found):
            yield

    @contextlib.contextmanager
    def _keyboard_set(self, state: list[Any]) -> Iterator[None]:
        before = self._keyboard()
        termios.tcsetattr(sys.stdin, termios.TCSANOW, state)
        try:
            yield
        finally:
            if before is not None:
                with contextlib.suppress(termios.error):
                    termios.tcsetattr(sys.stdin, termios.TCSANOW, before)

    def _keyboard(self) -> list[Any] | None:
        """Its state; None where no keyboard is there."""
        try:
            return termios.tcgetattr(sys.stdin) if self.moves else None
        except (OSError, ValueError, termios.error):
            return None


def _spelled_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
