"""The file system's refusals, as the program's own errors."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mlxk2.ports.errors import AccessProblem, DiskFull

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO)


@contextmanager
def access(what: str) -> Iterator[None]:
    """Turn the file system's refusals into the program's own error."""
    try:
        yield
    except BrokenPipeError:  # of whoever is told about the progress
        raise
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull(
                "The disk is full; free some space (mlxk2 rm needs none for it) and run the same command again, it goes"
                f" on from there ({what})"
            ) from error
        reason = (error.strerror or type(error).__name__).lower()
        raise AccessProblem(f"Cannot use {what}: {reason}; {_step(error, what)}") from error


def _step(error: OSError, what: str) -> str:
    if error.errno in _REFUSALS:
        return "check its permissions"
    place = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    while place and not os.path.lexists(place):
        place = os.path.dirname(place)
    if error.errno in _IN_THE_WAY and place not in what:  # `what` names the cache folder
        return f"take away what is in the place of {place}"
    return "check HF_HUB_CACHE and HF_HOME"
