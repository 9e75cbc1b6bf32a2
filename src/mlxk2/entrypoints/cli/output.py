"""Where output goes: results to standard output, everything else to standard error; colour only on a terminal."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from mlxk2.ports.errors import AccessProblem

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.envelope import Document
    from mlxk2.entrypoints.cli.records.base import Data

_STYLES = {"good": "32", "bad": "31", "dim": "2", "bold": "1"}
_NARROWEST = 40
_USUAL = 80, 24
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Of what a model writes: control characters but tab and line end, and what turns the direction of writing."""


def _spelled_out(match: re.Match[str]) -> str:
    """What a repo's names hold must not steer the terminal."""
    from mlxk2.domain.names import spelled_out

    return spelled_out(match[0])


class Unwritable(AccessProblem):
    """Standard output takes nothing more."""


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """A reader that went away is the caller's business; any other failure to write is told like one of the cache."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise Unwritable(f"Cannot write the result to standard output: {reason}") from error


class Output:
    """`json` tells whether the command's result is a JSON document, `jsonl` whether it is events, one a line."""

    def __init__(self, *, json: bool, jsonl: bool, environ: Mapping[str, str], out: TextIO, err: TextIO) -> None:
        self.json = json
        self.jsonl = jsonl
        if (json or jsonl) and isinstance(out, TextIOWrapper):
            out.reconfigure(encoding="utf-8")
        self._environ = environ
        self._out = out
        self._err = err
        self._line_is_open = False
        self._colour = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def result(self, text: str) -> None:
        """One finished piece of the result, with a line end."""
        with writing():
            self._out.write(f"{text}\n")

    def document(self, document: "Document") -> None:
        """The JSON document that is the whole result."""
        from mlxk2.entrypoints.cli.envelope import render

        self.result(render(document, pretty=self._out.isatty()))

    def event(self, event: "Data") -> None:
        """One line of `--jsonl`; shown at once."""
        from mlxk2.entrypoints.cli.envelope import render
        from mlxk2.entrypoints.cli.records.base import to_json

        self.stream(f"{render(to_json(event), pretty=False)}\n")

    def stream(self, text: str) -> None:
        """A piece of a result that grows; shown at once."""
        is_open = not text.endswith("\n")
        self._line_is_open |= is_open  # before, since Ctrl-C may come as soon as it is written
        with writing():
            self._out.write(text)
            self._out.flush()
        self._line_is_open = is_open

    def answer(self, text: str, style: str | None = None) -> None:
        """A piece of what a model writes: nothing in it steers a terminal. Programs get it as it is."""
        if not self.on_terminal:
            self.stream(text)
            return
        shown = _STEERING.sub(_spelled_out, text.replace("\r", ""))
        self.stream(self.styled(shown, style) if style else shown)
        self._line_is_open = not text.endswith("\n")

    def aside(self, text: str) -> None:
        """A piece of a text that grows beside the result, on standard error."""
        with contextlib.suppress(OSError):
            self._err.write(_STEERING.sub(_spelled_out, text.replace("\r", "")))
            self._err.flush()

    def end_line(self) -> None:
        """End the line that a result has grown on, if it is open."""
        if self._line_is_open:
            self.stream("\n")

    def note(self, text: str) -> None:
        """A sentence beside the result: warnings, progress, statistics."""
        with contextlib.suppress(OSError):
            if self._line_is_open and self.on_terminal:
                self._out.write("\n")
                self._line_is_open = False
            self._out.flush()
        with contextlib.suppress(OSError):
            self._err.write(f"{_CONTROL.sub(_spelled_out, text)}\n")
            self._err.flush()

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour else text

    def flush(self) -> None:
        with writing():
            self._out.flush()

    def abandon(self) -> None:
        """Nothing more can be written: keep the interpreter from complaining when it flushes at exit."""
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

    @property
    def on_terminal(self) -> bool:
        """The result goes to a terminal."""
        return self._out.isatty()

    @property
    def has_styles(self) -> bool:
        """`styled` makes a difference."""
        return self._colour

    @property
    def width(self) -> int | None:
        """Columns for tables: COLUMNS, else the terminal's width; None where lines may be as long as they are."""
        try:
            columns = int(self._environ.get("COLUMNS") or os.get_terminal_size(self._out.fileno()).columns)
        except (OSError, ValueError):
            return None
        return max(_NARROWEST, columns)

    @property
    def screen(self) -> tuple[int, int] | None:
        """Columns and rows of the terminal that the result goes to; None where lines cannot be drawn again."""
        if self.json or self.jsonl or not self._out.isatty() or self._environ.get("TERM") == "dumb":
            return None
        try:
            columns, rows = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            return None
        return columns or _USUAL[0], rows or _USUAL[1]

    @property
    def destination(self) -> TextIO:
        """Where the result goes, for who draws on it."""
        return self._out

    @property
    def secret(self) -> str | None:
        """The token in use, as far as the environment has it; it must not be printed."""
        return self._environ.get("HF_TOKEN") or self._environ.get("HUGGING_FACE_HUB_TOKEN")

    @property
    def can_animate(self) -> bool:
        """Standard error is a terminal that can redraw a line."""
        return self._err.isatty() and self._environ.get("TERM") != "dumb" and not self.jsonl

    def can_ask(self) -> bool:
        """A person sits at both ends of the conversation."""
        return sys.stdin.isatty() and self._err.isatty() and not self.json and not self.jsonl

    def ask(self, question: str) -> bool:
        """A yes-or-no question on standard error; anything but yes is no."""
        self._out.flush()
        self._err.write(f"{question} [y/N] ")
        self._err.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self._err.write("\n")
        return answer.strip().lower() in ("y", "yes")
