"""`mlxk2 run` without a prompt: a conversation on a terminal."""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services
    from mlxk2.entrypoints.cli.output import Output


def converse(args: Namespace, services: "Callable[[], Services]", out: "Output") -> int:
    """Hold the conversation, and return the exit code. `args` are those of `run`.

    Raises what is wrong with the model before the first answer; later failures are told, and the chat goes on.
    """
    from mlxk2.entrypoints.cli.chat.start import converse as start

    return start(args, services, out)
