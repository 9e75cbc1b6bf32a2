"""The folder of records, and by what a record is known to be of a server that lives.

A server keeps its record locked (flock) for as long as it runs, and the system lets go of the lock when the process
ends, however it ends: a record that can be locked is of nobody. Its process id proves nothing, since it may have been
given to another process. Where a file system cannot lock, the process id has to do; whoever connects finds out.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

from mlxk2.adapters.servers.private import check_own_folder, is_own_folder, make_private_folder, open_own_file
from mlxk2.adapters.servers.record import read_record, write_record
from mlxk2.ports.errors import AccessProblem
from mlxk2.ports.servers import RunningServer

_RUNTIME = "XDG_RUNTIME_DIR"
_LARGEST = 64 * 1024
"""Bytes; a record takes less than one thousand, and as much again as its two paths."""


class RecordedServers:
    """`runtime_dir` and `state_dir` as in `Settings`. What was announced is known until it is withdrawn, or until this
    process ends.
    """

    def __init__(self, runtime_dir: str, state_dir: str) -> None:
        self._runtime_dir = runtime_dir
        self._folder = os.path.join(runtime_dir, "mlxk2")
        self._logs = os.path.join(state_dir, "mlxk2", "logs")
        self._held: dict[str, int] = {}

    def running(self) -> tuple[RunningServer, ...]:
        if not (is_own_folder(self._runtime_dir) and is_own_folder(self._folder)):
            return ()
        found = [server for path in self._records() if (server := _look_at(path)) is not None]
        return tuple(sorted(found, key=lambda server: server.started, reverse=True))

    def announce(self, server: RunningServer) -> None:
        if not os.path.lexists(self._runtime_dir):
            make_private_folder(self._runtime_dir, _RUNTIME)
        check_own_folder(self._runtime_dir, _RUNTIME)
        make_private_folder(self._folder, _RUNTIME)
        path = self._path(server)
        try:
            descriptor = _write_locked(path, write_record(server))
        except OSError as error:
            raise AccessProblem(
                f"The server cannot be made known in {self._folder}: {(error.strerror or 'unknown').lower()};"
                f" make room there, or name another place with {_RUNTIME}"
            ) from error
        self._let_go(path)
        self._held[path] = descriptor

    def withdraw(self, server: RunningServer) -> None:
        path = self._path(server)
        with contextlib.suppress(OSError):
            os.unlink(path)
        self._let_go(path)

    def log_file(self, port: int) -> str:
        make_private_folder(self._logs, "XDG_STATE_HOME")
        return os.path.join(self._logs, f"server-{port}.log")

    def _path(self, server: RunningServer) -> str:
        return os.path.join(self._folder, f"server-{server.pid}.json")

    def _records(self) -> Iterator[str]:
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name.startswith("server-") and name.endswith(".json"):
                    yield os.path.join(self._folder, name)

    def _let_go(self, path: str) -> None:
        descriptor = self._held.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)


def _write_locked(path: str, content: bytes) -> int:
    """The descriptor that holds the lock. The file is under its name only once it is whole and locked."""
    unfinished = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, content)
        os.rename(unfinished, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _look_at(path: str) -> RunningServer | None:
    """The server, if it lives. The record of one that does not is taken away; what cannot be read stays."""
    try:
        descriptor = open_own_file(path)
    except OSError:
        return None
    try:
        server = read_record(os.read(descriptor, _LARGEST))
        if server is None or _is_of_a_living_process(descriptor, server.pid):
            return server
        _take_away(path, descriptor)
        return None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _is_of_a_living_process(descriptor: int, pid: int) -> bool:
    locked = _lock(descriptor, fcntl.LOCK_SH)  # two that look at once do not take each other for it
    return _exists(pid) if locked is None else not locked


def _lock(descriptor: int, kind: int) -> bool | None:
    """Whether the lock was free, and now is this descriptor's; None where files cannot be locked."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def _take_away(path: str, descriptor: int) -> None:
    """Unless a new server of the same process id has meanwhile put its own record there."""
    with contextlib.suppress(OSError):
        if os.path.samestat(os.lstat(path), os.fstat(descriptor)):
            os.unlink(path)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return pid > 0
