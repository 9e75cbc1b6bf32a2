"""Hashes of many files at once: a thread a core, the largest file first, so that none is left to the end for one core.

`hashlib` lets go of the interpreter's lock while it works, so threads do. A thread looks at `stop` at every piece.
"""

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread

from mlxk2.adapters.hfcache.witnesses import Look, look_of
from mlxk2.adapters.reading import open_file
from mlxk2.ports.blobs import BlobHash
from mlxk2.ports.verifying import FileHashing

_PIECE = 256 * 1024
_TELL_EVERY = 0.1
_PATIENCE = 1.0
"""Seconds for threads that hang in a file system to come back."""

_CONTENT = slice(4)
"""The part that tells of content; the rest also changes with a file's name or its permissions."""


@dataclass(slots=True)
class HashJob:
    """A file to read; sets `hash` and `look`, what the file looked like then, or `problem` as half a sentence."""

    path: str
    shown: str
    size: int
    sha256: bool
    done: int = 0
    hash: str | None = None
    look: Look | None = None
    problem: str | None = None


class HashPool:
    """One run over some files, by threads that end when they are done, or soon after `stop`."""

    def __init__(self, jobs: Sequence[HashJob], done: Callable[[HashJob], None]) -> None:
        """`done` is called from the threads, as soon as a job has ended."""
        self._waiting = deque(sorted(jobs, key=lambda job: job.size, reverse=True))
        self._done = done
        self._total = sum(job.size for job in jobs)
        self._settled_bytes = 0
        self._running: set[int] = set()
        self._jobs = {id(job): job for job in jobs}
        self._left = len(jobs)
        self._news: list[HashJob] = []
        self._changed = Condition()
        self._stopped = False
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(min(_cores(), len(jobs)))]
        for thread in self._threads:
            thread.start()

    def wait(self) -> tuple[list[HashJob], bool]:
        """Jobs that have ended since the last call, after a moment; and whether there will be more."""
        with self._changed:
            if self._left and not self._news:
                self._changed.wait(_TELL_EVERY)
            return self._told(), self._left > 0

    def progress(self) -> tuple[int, int, tuple[FileHashing, ...]]:
        """Bytes in all, bytes that have been read, and the files that are being read."""
        with self._changed:
            running = [self._jobs[number] for number in self._running]
            settled = self._settled_bytes
        files = tuple(FileHashing(job.shown, job.size, job.done) for job in running)
        return self._total, settled + sum(file.done for file in files), files

    def stop(self) -> list[HashJob]:
        """End the threads at their next piece; returns the jobs that have ended and were not told of yet."""
        self._stopped = True
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            return self._told()

    def _told(self) -> list[HashJob]:
        news, self._news = self._news, []
        return news

    def _work(self) -> None:
        piece = memoryview(bytearray(_PIECE))
        while not self._stopped:
            with self._changed:
                if not self._waiting:
                    return
                job = self._waiting.popleft()
                self._running.add(id(job))
            self._take(job, piece)
            if not (job.hash or job.problem):
                return
            self._done(job)
            with self._changed:
                self._running.discard(id(job))
                self._settled_bytes += job.size
                self._left -= 1
                self._news.append(job)
                self._changed.notify_all()

    def _take(self, job: HashJob, piece: memoryview) -> None:
        try:
            handle = open_file(job.path, os.O_NOFOLLOW)
        except OSError as error:
            job.problem = why(error)
            return
        with open(handle, "rb", buffering=0) as file:
            try:
                self._read(job, file.readinto, handle, piece)
            except OSError as error:
                job.problem = why(error)
            except Exception as error:  # noqa: BLE001 - whoever waits for this thread must not wait for ever
                job.problem = f"cannot be read: {type(error).__name__}"

    def _read(self, job: HashJob, readinto: Callable[[memoryview], int], handle: int, piece: memoryview) -> None:
        before = _look(handle)
        if before is None:
            job.problem = "is not a file"
            return
        digest = BlobHash(before[2], lfs=job.sha256)
        while count := readinto(piece):
            if self._stopped:
                return
            digest.update(piece[:count])
            job.done += count
        after = _look(handle)
        if after and after[_CONTENT] == before[_CONTENT]:
            job.hash, job.look = digest.name(), before
        else:
            job.problem = "changed while it was checked"


def why(error: OSError) -> str:
    """As half a sentence about a file."""
    if isinstance(error, FileNotFoundError):
        return "was deleted while it was checked"
    return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"


def _look(handle: int) -> Look | None:
    found = os.fstat(handle)
    return look_of(found) if stat.S_ISREG(found.st_mode) else None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
