"""Locks of the cache: who holds one now.

huggingface_hub takes an flock per blob and leaves the file behind, so a file's existence says nothing; only trying the
lock does. Where a file system has no flock, filelock falls back to "the file exists", and so does this module.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from mlxk2.adapters.hfcache import layout

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TRY = fcntl.LOCK_SH | fcntl.LOCK_NB
_ENDING = ".lock"
_LOOKS = 10
_LOOK_SECONDS = 0.005
_NO_FLOCK = {errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def held_locks(root: str, folder: str, *, besides: Container[str] = ()) -> frozenset[str]:
    """Names (etags) of the folder's locks that another process holds at this moment, of those not in `besides`."""
    path = folder_of(root, folder)
    return frozenset(name for name in lock_names(path) if name not in besides and is_held(f"{path}/{name}{_ENDING}"))


def folder_of(root: str, folder: str) -> str:
    """Where the locks of a model are."""
    return os.path.join(root, layout.LOCKS, folder)


def lock_names(path: str) -> list[str]:
    """The locks in a folder, whether somebody holds them or not."""
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)]


def is_held(path: str) -> bool:
    """Whether some process has the flock; a file that is gone or may not be opened is not held."""
    try:
        handle = os.open(path, _LOOK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, _TRY)
    except BlockingIOError:
        return True
    except OSError as error:
        return error.errno in _NO_FLOCK
    finally:
        os.close(handle)
    return False


@contextmanager
def lock(path: str, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file's flock, waiting for others; the file stays behind, as huggingface_hub's do.

    `waiting` is called once when somebody else holds it.
    """
    handle = _hold(path, waiting)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_if_free(path: str, *, create: bool = True) -> Iterator[bool]:
    """Hold a lock without waiting for others; yields whether it is held. Without `create` a missing file is no lock.

    A file that was made for this goes again. Whoever holds the lock may delete a file that was there: huggingface_hub's
    filelock and `lock` both find out that what they waited for is gone, and begin again.
    """
    handle, made = _open_now(path, create=create)
    if handle is None:
        yield False
        return
    held = False
    try:
        held = _take_now(handle, made=made) and is_same_file(handle, path)
        yield held
    finally:
        if held and made and is_same_file(handle, path):
            os.unlink(path)
        os.close(handle)


def _open_now(path: str, *, create: bool) -> tuple[int | None, bool]:
    """The open file, and whether it was made now."""
    if create:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            return os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o664), True
        except FileExistsError:
            pass
    try:
        return os.open(path, _OPEN), False
    except FileNotFoundError:
        return None, False


def _take_now(handle: int, *, made: bool) -> bool:
    """Where there is no flock, whoever has made the file holds the lock."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        except OSError as error:
            return made and error.errno in _NO_FLOCK
        else:
            return True
    return False


def _hold(path: str, waiting: Callable[[], None] | None) -> int:
    """The open file that has the lock. A lock file that was deleted while we waited for it locks nothing any more."""
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o664)
        try:
            _take(handle, waiting)
            if is_same_file(handle, path):
                return handle
        except OSError as error:
            if error.errno in _NO_FLOCK:
                return handle
            os.close(handle)
            raise
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def is_same_file(handle: int, path: str) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        named = os.lstat(path)
    except OSError:
        return False
    opened = os.fstat(handle)
    return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)


def _take(handle: int, waiting: Callable[[], None] | None) -> None:
    """Whoever only looks whether a lock is held has it for a moment; that is not worth telling."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_SECONDS)
        else:
            return
    if waiting:
        waiting()
    fcntl.flock(handle, fcntl.LOCK_EX)
