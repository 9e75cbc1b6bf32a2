"""From exceptions to exit codes: the one table."""

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
