"""Where output goes: results to standard output, everything else to standard error; colour only on a terminal."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

_STYLES = {"good": "32", "bad": "31", "dim": "2", "bold": "1"}
_NARROWEST = 40
_DEFAULT_WIDTH = 80


class Output:
    """`json` tells whether the command's result is a JSON document."""

    def __init__(self, *, json: bool, environ: Mapping[str, str], out: TextIO, err: TextIO) -> None:
        self.json = json
        self._environ = environ
        self._out = out
        self._err = err
        self._colour = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def result(self, text: str) -> None:
        """One finished piece of the result, with a line end."""
        self._out.write(f"{text}\n")

    def stream(self, text: str) -> None:
        """A piece of a result that grows; shown at once."""
        self._out.write(text)
        self._out.flush()

    def note(self, text: str) -> None:
        """A sentence beside the result: warnings, progress, statistics."""
        self._out.flush()
        self._err.write(f"{text}\n")
        self._err.flush()

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour else text

    def flush(self) -> None:
        self._out.flush()

    @property
    def width(self) -> int:
        """Columns for tables: COLUMNS, else the terminal's width, else 80."""
        try:
            return max(
                _NARROWEST, int(self._environ.get("COLUMNS") or os.get_terminal_size(self._out.fileno()).columns)
            )
        except (OSError, ValueError):
            return _DEFAULT_WIDTH

    def can_ask(self) -> bool:
        """A person sits at both ends of the conversation."""
        return sys.stdin.isatty() and self._err.isatty() and not self.json

    def ask(self, question: str) -> bool:
        """A yes-or-no question on standard error; anything but yes is no."""
        self._out.flush()
        self._err.write(f"{question} [y/N] ")
        self._err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
