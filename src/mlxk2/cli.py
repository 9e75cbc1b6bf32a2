"""The `mlxk2` and `mlxk-json` commands."""

import functools
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.app import run

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program on `argv` (default: the process's own) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    return run(sys.argv[1:] if argv is None else argv, functools.cache(real_services), os.environ)


def real_services() -> "Services":
    """The program on the cache that the environment names."""
    from mlxk2.container import build_services
    from mlxk2.settings import read_settings

    return build_services(read_settings(os.environ).cache_root)
