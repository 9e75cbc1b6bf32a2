"""`mlxk2 completion`: the script for the user's shell, as it was made from the grammar."""

from argparse import Namespace
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.output import Output
from mlxk2.ports.errors import OperationError

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services

_FILES = {"bash": "mlxk2.bash", "zsh": "_mlxk2"}


def execute(args: Namespace, services: "Callable[[], Services]", out: Output) -> int:
    del services
    script = _script(args.shell)
    if out.json:
        from mlxk2.entrypoints.cli.envelope import success
        from mlxk2.entrypoints.cli.records.completion import CompletionData

        out.document(success("completion", CompletionData(args.shell, script)))
    else:
        out.stream(script)
    return 0


def _script(shell: str) -> str:
    try:
        return files("mlxk2").joinpath("assets", "completions", _FILES[shell]).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise OperationError("The completion script is missing from this installation; reinstall the program") from None
