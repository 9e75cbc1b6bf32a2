"""The `mlxk2` and `mlxk-json` commands."""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mlxk2 import __version__

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program on `argv` (default: the process's own) and return its exit code.

    After Ctrl-C the process ends at once: a model may be in the middle of a long step that nobody waits for any more.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"] and _answer_at_once(f"mlxk2 {__version__}\n"):
        return 0
    try:
        code = _run(words)
    except KeyboardInterrupt:  # while the program itself was still being loaded
        with suppress(OSError, AttributeError):
            sys.stderr.write("mlxk2: Interrupted\n")
        code = _INTERRUPTED
    _let_go_of_streams()
    if code == _INTERRUPTED:
        os._exit(code)
    return code


def _answer_at_once(text: str) -> bool:
    """Scripts ask for the version all the time: say it before anything is loaded. False when it cannot be written."""
    try:
        os.write(sys.stdout.fileno(), text.encode("ascii"))  # past the stream, which would try again
    except (OSError, AttributeError):  # a full disk, a reader that left, a closed stream: told the usual way
        return False
    return True


def _run(argv: Sequence[str]) -> int:
    from functools import cache
    from io import TextIOWrapper

    from mlxk2.entrypoints.cli.app import run

    gc.disable()  # a short process gains nothing from collecting; loading a model switches it on again
    _fill_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    return run(argv, cache(real_services), os.environ)


def _fill_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) is None in Python; reading it gives nothing, writing goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for the process's whole life


def _let_go_of_streams() -> None:
    """What a stream has not taken by now, it never will; the interpreter would try, and end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def real_services() -> "Services":
    """The program on the cache and the Hub that the environment names."""
    from mlxk2.container import build_services
    from mlxk2.settings import read_settings

    return build_services(read_settings(os.environ))
