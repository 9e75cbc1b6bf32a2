"""How a question is typed where the terminal cannot move its cursor, and what a line means wherever it is typed."""

import sys
from collections.abc import Callable
from typing import Protocol

PROMPT = ">>> "
CONTINUED = "... "
QUOTES = '"""'


class Prompt(Protocol):
    def read(self, default: str = "") -> str:
        """One question, as it was typed; `default` is there to be changed.

        Raises EOFError at the end of input, KeyboardInterrupt for Ctrl-C.
        """

    def read_line(self, question: str) -> str:
        """One line that is no question to the model. Raises as `read`."""


def is_open(text: str) -> bool:
    """It begins with three quotes and does not end with them: more lines follow."""
    stripped = text.strip()
    return stripped.startswith(QUOTES) and (len(stripped) < 2 * len(QUOTES) or not stripped.endswith(QUOTES))


def meant(text: str) -> str:
    """What was typed, without the quotes around several lines, and the line ends that pasted text ends with."""
    stripped = text.strip()
    if stripped.startswith(QUOTES) and not is_open(text):
        return stripped[len(QUOTES) : -len(QUOTES)].strip("\n")
    return text.rstrip("\n")


class LinePrompt:
    """Plain lines from standard input, without a single code for the terminal."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def read(self, default: str = "") -> str:
        """A terminal that cannot move its cursor has no text to be changed: `default` is shown, to be typed anew."""
        if default:
            self._write(f"({default})\n")
        text = self.read_line(PROMPT)
        while is_open(text):
            text += "\n" + self.read_line(CONTINUED)
        return text

    def read_line(self, question: str) -> str:
        self._write(question)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            self._leave_line()
            raise
        if not line:
            self._leave_line()
            raise EOFError
        return line.removesuffix("\n").removesuffix("\r")

    def _leave_line(self) -> None:
        """A terminal does not end a line by itself when Ctrl-C or Ctrl-D is pressed in it."""
        if sys.stdin.isatty():
            self._write("\n")
