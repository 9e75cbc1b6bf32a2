"""Folders and files that nobody but this user may read or change.

The runtime folder may lie among the temporary files of everybody. A folder that somebody else has put there, or may
write to, would let them name a server of theirs, and be sent what is meant for one of the user's.
"""

import contextlib
import os
import stat

from mlxk2.ports.errors import AccessProblem

_OTHERS_MAY_WRITE = 0o022
_OTHERS_MAY = 0o077


def make_private_folder(path: str, variable: str) -> None:
    """Only this user may enter it. `variable` names what its place depends on. Raises AccessProblem."""
    try:
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
        if _is_own(path):
            os.chmod(path, 0o700)
            return
    except (OSError, ValueError) as error:
        raise AccessProblem(
            f"The folder {path} cannot be made: {_reason(error)}; mend that, or name another place with {variable}"
        ) from error
    raise AccessProblem(f"{path} is no folder of yours; take it away, or name another place with {variable}")


def check_own_folder(path: str, variable: str) -> None:
    """Raises AccessProblem where somebody else could put something in the place of what is in there."""
    if not is_own_folder(path):
        raise AccessProblem(
            f"Others than you may write to the folder {path}; correct that, or name another place with {variable}"
        )


def is_own_folder(path: str) -> bool:
    """A folder of this user that nobody else may write to, and no symbolic link."""
    try:
        return _is_own(path) and not os.lstat(path).st_mode & _OTHERS_MAY_WRITE
    except (OSError, ValueError):
        return False


def open_own_file(path: str) -> int:
    """A descriptor to read from. Raises OSError, also for what is no plain file that only this user may read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & _OTHERS_MAY:
        os.close(descriptor)
        raise PermissionError(f"{path} is not a file that only you may read")
    return descriptor


def _is_own(path: str) -> bool:
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _reason(error: OSError | ValueError) -> str:
    return ((error.strerror if isinstance(error, OSError) else None) or str(error)).lower()
