"""The file system's refusals, as the program's own errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mlxk2.ports.errors import AccessProblem, DiskFull

_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def access(what: str) -> Iterator[None]:
    """Turn the file system's refusals into the program's own error."""
    try:
        yield
    except BrokenPipeError:  # of whoever is told about the progress
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(
                f"The disk is full; free some space and run the same command again, it goes on from there ({what})"
            ) from error
        reason = (error.strerror or type(error).__name__).lower()
        step = "check its permissions" if error.errno in _REFUSALS else "check HF_HUB_CACHE and HF_HOME"
        raise AccessProblem(f"Cannot use {what}: {reason}; {step}") from error
