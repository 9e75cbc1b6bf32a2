"""The folder of conversations.

A file is under its name only once it is whole and on the disk, so that whoever is killed, or has no more room, loses
nothing that was there. Its time of modification is when the conversation was saved: titles are sorted without reading.
"""

import contextlib
import os
import stat
import tempfile
import time
from dataclasses import replace

from mlxk2.adapters.reading import read_file
from mlxk2.adapters.sessions.record import Unreadable, read_record, write_record
from mlxk2.ports.errors import AccessProblem, OperationError, ValidationError
from mlxk2.ports.sessions import Conversation, checked_title, unknown_title

_SUFFIX = ".json"
_UNFINISHED = ".saving-"
_SOMEBODY_STILL_WRITES = 3600
"""Seconds: an unfinished file that is older is of a program that was killed."""
_MOST = 1 << 30


class FileSessions:
    """`state_dir` as in `Settings`. Folders are for this user only, and so are files."""

    def __init__(self, state_dir: str) -> None:
        self._home = os.path.join(state_dir, "mlxk2")
        self._folder = os.path.join(self._home, "chats")

    def save(self, conversation: Conversation) -> str:
        title = checked_title(conversation.title)
        path = self._path(title)
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            self._take_away_unfinished()
            self._write(path, write_record(replace(conversation, title=title)), conversation.saved)
        except OSError as error:
            raise _refused(f"The conversation cannot be saved as {path}", error) from error
        return path

    def load(self, title: str) -> Conversation:
        title = checked_title(title)
        path = self._path(title)
        try:
            return replace(read_record(read_file(path, _MOST)), title=title)
        except FileNotFoundError:
            raise unknown_title(title, self.titles()) from None
        except OSError as error:
            raise _refused(f"The conversation '{title}' cannot be read from {path}", error) from error
        except Unreadable as problem:
            raise OperationError(f"The conversation '{title}' ({path}) {problem}") from None

    def titles(self) -> tuple[str, ...]:
        try:
            with os.scandir(self._folder) as entries:
                found = [(_modified(entry), entry.name.removesuffix(_SUFFIX)) for entry in entries if _is_one(entry)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _refused(f"The conversations in {self._folder} cannot be listed", error) from error
        return tuple(title for _, title in sorted(found, key=lambda one: (-one[0], one[1])))

    def history_file(self) -> str:
        path = os.path.join(self._home, "chat-history")
        try:
            os.makedirs(self._home, 0o700, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            try:
                os.fchmod(handle, 0o600)
            finally:
                os.close(handle)
        except OSError as error:
            raise _refused(f"The history of chats cannot be kept in {path}", error) from error
        return path

    def _path(self, title: str) -> str:
        return os.path.join(self._folder, title + _SUFFIX)

    def _write(self, path: str, content: bytes, moment: float) -> None:
        handle, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            os.utime(unfinished, (moment, moment))
            os.replace(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise

    def _take_away_unfinished(self) -> None:
        long_ago = time.time() - _SOMEBODY_STILL_WRITES
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(_UNFINISHED) and _modified(entry) < long_ago:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)


def _refused(what: str, error: OSError) -> AccessProblem:
    reason = (error.strerror or str(error)).lower()
    return AccessProblem(f"{what}: {reason}; mend that, or name another place with XDG_STATE_HOME")


def _is_one(entry: os.DirEntry[str]) -> bool:
    title = entry.name.removesuffix(_SUFFIX)
    try:
        return title != entry.name and checked_title(title) == title and stat.S_ISREG(entry.stat().st_mode)
    except (ValidationError, OSError):
        return False


def _modified(entry: os.DirEntry[str]) -> float:
    """0 for what has gone meanwhile."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
