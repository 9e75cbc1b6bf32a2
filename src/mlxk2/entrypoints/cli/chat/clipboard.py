"""Text to the clipboard: with a program of the desktop, or by asking the terminal.

A terminal is asked with the escape code OSC 52, which also reaches the user's own machine through ssh. It never
answers, and one that does not know the code does nothing: so a program comes first where it is this machine's desktop.
"""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

_LONGEST = 100_000
"""Characters of base64 that every terminal with OSC 52 takes; many drop a longer text without a word."""
_WITHOUT_CODES = frozenset({"", "dumb", "unknown"})
_PATIENCE = 10
"""Seconds for a program that takes a text and returns at once."""


def copy(text: str, environ: Mapping[str, str] = os.environ, terminal: str = "/dev/tty") -> str:
    """Put it there, and say in one sentence what happened. `terminal` is the path of the one that is asked."""
    for program in _programs(environ):
        if _give(text, program, environ):
            return f"The last answer is on the clipboard ({program[0]})."
    code = _osc_52(text)
    if environ.get("TERM", "") in _WITHOUT_CODES or not _is_terminal(terminal):
        return "There is no clipboard here: neither a program for it (wl-copy, xclip) nor a terminal that has one."
    if len(code) > _LONGEST:
        return "The last answer is too long for the terminal's clipboard; /save keeps it in a file."
    _send(code, terminal)
    return "The last answer was sent to the terminal's clipboard; not every terminal takes it."


def _programs(environ: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Programs that may reach the clipboard which the user sees; through ssh, that is not this machine's."""
    if environ.get("TMUX"):
        yield "tmux", "load-buffer", "-w", "-"  # tmux passes it on to its terminal, and OSC 52 only where it is told to
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return
    if sys.platform == "darwin":
        yield ("pbcopy",)
    if environ.get("WAYLAND_DISPLAY"):
        yield ("wl-copy",)
    if environ.get("DISPLAY"):
        yield "xclip", "-selection", "clipboard"


def _give(text: str, program: tuple[str, ...], environ: Mapping[str, str]) -> bool:
    try:
        ended = subprocess.run(  # noqa: S603 - a fixed list of programs
            program,
            input=_bytes(text),
            stdout=subprocess.DEVNULL,  # xclip goes on in the background, and would keep a pipe open
            stderr=subprocess.DEVNULL,
            env={**environ, "LC_CTYPE": "UTF-8"} if program[0] == "pbcopy" else environ,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _osc_52(text: str) -> bytes:
    return b"\x1b]52;c;" + base64.b64encode(_bytes(text)) + b"\x07"


def _is_terminal(path: str) -> bool:
    try:
        with open(path, "wb", buffering=0, opener=_open) as file:
            return file.isatty()
    except OSError:
        return False


def _send(code: bytes, terminal: str) -> None:
    with open(terminal, "wb", buffering=0, opener=_open) as file:
        while code:
            code = code[file.write(code) :]


def _open(path: str, _: int) -> int:
    """Neither makes a file nor takes the terminal over."""
    return os.open(path, os.O_WRONLY | os.O_NOCTTY)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
