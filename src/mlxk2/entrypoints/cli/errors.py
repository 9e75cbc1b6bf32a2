"""From exceptions to exit codes, the one table; and telling of a failure in the form that was asked for."""

from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.output import Output, Unwritable
from mlxk2.entrypoints.cli.parser import PROG
from mlxk2.ports.errors import (
    AccessProblem,
    DownloadFailed,
    Gated,
    Interrupted,
    Mlxk2Error,
    NetworkProblem,
    NotOnHub,
    Unauthorised,
    UsageError,
)

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.records.base import Data

GENERAL = 1
USAGE = 2
NETWORK = 2
ACCESS = 3
INTERRUPTED = 130

EXIT_CODES: tuple[tuple[type[Mlxk2Error], int], ...] = (
    (UsageError, USAGE),
    (AccessProblem, ACCESS),
    (Interrupted, INTERRUPTED),
    (NetworkProblem, NETWORK),
    (DownloadFailed, NETWORK),
    (NotOnHub, NETWORK),
    (Unauthorised, NETWORK),
    (Gated, NETWORK),
    (Mlxk2Error, GENERAL),
)
"""The first class that fits decides."""


def exit_code(error: Mlxk2Error) -> int:
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def fail(command: str, error: Mlxk2Error, out: Output, data: "Data | None" = None) -> int:
    """Tell of it, and return the exit code; `data` is what the envelope has beside the error."""
    _redact(error, out.secret)
    try:
        if isinstance(error, Unwritable):
            raise error
        if out.jsonl:
            from mlxk2.entrypoints.cli.envelope import error_object
            from mlxk2.entrypoints.cli.records.failures import ErrorEvent

            out.event(ErrorEvent(error_object(error)))
        elif out.json:
            from mlxk2.entrypoints.cli.envelope import failure

            out.document(failure(command, error, data))
        else:
            _tell(error, out)
        out.flush()
    except BrokenPipeError:
        out.abandon()
    except Unwritable as problem:
        out.abandon()
        _tell(problem, out)
    return exit_code(error)


def tell(error: Mlxk2Error, out: Output) -> int:
    """Tell of it on standard error whatever form was asked for, and return the exit code."""
    _redact(error, out.secret)
    _tell(error, out)
    return exit_code(error)


def _redact(error: Mlxk2Error, secret: str | None) -> None:
    """Whatever library a sentence comes from, and whatever it quotes: no token is printed."""
    from mlxk2.ports.redaction import without_secrets

    error.message = without_secrets(error.message, secret)
    error.details = without_secrets(error.details, secret) if error.details else error.details


def _tell(error: Mlxk2Error, out: Output) -> None:
    if isinstance(error, UsageError) and error.usage:
        out.note(error.usage)
    out.note(f"{PROG}: {error.message}")
