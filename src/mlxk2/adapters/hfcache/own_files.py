"""Files of ours about one cache, kept outside of it: `<base>/mlxk2/caches/<key>/`, where the key stands for its root.

Whoever cannot read or write them goes on as if they were not there.
"""

import contextlib
import os
import stat

_LONGEST_KEY = 200
_OTHERS_MAY_WRITE = 0o022


def own_folder(base: str, root: str) -> str:
    """The folder for the cache at `root`, whatever links lead there. It need not exist."""
    return os.path.join(base, "mlxk2", "caches", _key(os.path.realpath(root)))


def _key(root: str) -> str:
    """The path as one name, or its hash where that would be too long for one."""
    name = root.replace("%", "%25").replace("/", "%2F")
    if len(os.fsencode(name)) <= _LONGEST_KEY:
        return name
    import hashlib

    return hashlib.sha256(os.fsencode(root)).hexdigest()


def is_own(path: str) -> bool:
    """Whether it is a plain file of this user that nobody else may write to, and so may be believed. Raises OSError."""
    found = os.lstat(path)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & _OTHERS_MAY_WRITE


def write_private(path: str, content: bytes) -> None:
    """There at once or not at all, for this user only. Raises OSError."""
    import tempfile

    folder = os.path.dirname(path)
    _make_private(folder)
    handle, unfinished = tempfile.mkstemp(prefix=".", suffix=".new", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def _make_private(folder: str) -> None:
    """With its parents, as far as they are not there."""
    if os.path.isdir(folder):
        return
    _make_private(os.path.dirname(folder))
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
