"""`mlxk2 version` and `mlxk2 --version`: answers without loading anything else of the program."""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2 import __version__
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.parser import JSON_SPECS, PROG

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services
    from mlxk2.entrypoints.cli.records.versions import VersionData


def execute(_args: Namespace, services: "Callable[[], Services]", out: Output) -> int:
    if out.json:
        from mlxk2.entrypoints.cli.envelope import success

        out.document(success("version", _data(services)))
    else:
        out.result(f"{PROG} {__version__}")
    return 0


def _data(services: "Callable[[], Services]") -> "VersionData":
    from mlxk2.entrypoints.cli.records.versions import SystemObject, VersionData

    total = services().machine().total_memory()
    return VersionData(__version__, JSON_SPECS[0], None if total is None else SystemObject(total))
