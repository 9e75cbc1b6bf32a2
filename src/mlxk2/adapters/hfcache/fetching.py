"""Many blobs at once: a few threads see to a blob each, some more fetch ranges, and the caller's thread tells about it.

All threads are daemons and look at `stop` at every piece, so that Ctrl-C in the caller's thread ends the program at
once; what has been fetched is on the disk by then, with its map.
"""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Condition, Thread

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.blob_job import BlobJob, Range, Stopped
from mlxk2.adapters.hfcache.partial import leftovers
from mlxk2.ports.sources import Content, SourceFile
from mlxk2.ports.transfer import Checked, Moving, Waiting, Watch

_BLOBS_AT_ONCE = 4
_RANGES_AT_ONCE = min(8, max(4, 2 * (os.cpu_count() or 2)))
"""Connections: more than the processor can serve only get in each other's way."""
_TELL_EVERY = 0.1


class Fetching:
    """One run over a set of blobs."""

    def __init__(self, root: str, folder: str, commit: str, content: Content, watch: Watch) -> None:
        self._root, self._folder, self._commit = root, folder, commit
        self._content = content
        self._watch = watch
        self._over = Condition()
        self._todo: SimpleQueue[BlobJob] = SimpleQueue()
        self._ranges: SimpleQueue[Range | None] = SimpleQueue()
        self._told: SimpleQueue[Checked | Waiting] = SimpleQueue()
        self._jobs: list[BlobJob] = []
        self._active: set[BlobJob] = set()
        self._total = 0
        self._done_bytes = 0
        self._done_fetched = 0
        self._finished = 0
        self._failure: BaseException | None = None

    def __call__(self, files: Sequence[SourceFile]) -> int:
        """Returns the bytes fetched. Raises the first failure of any thread; what is on the disk stays."""
        alike: dict[str, list[SourceFile]] = {}
        for file in files:
            alike.setdefault(file.etag, []).append(file)
        pieces = leftovers(os.path.join(self._root, self._folder, layout.BLOBS))
        self._jobs = [
            BlobJob(self._root, self._folder, self._commit, group, pieces.get(etag, ()))
            for etag, group in alike.items()
        ]
        self._total = sum(job.file.size for job in self._jobs)
        for job in self._jobs:
            self._todo.put(job)
        self._start(self._see_to_blobs, min(_BLOBS_AT_ONCE, len(self._jobs)))
        self._start(self._fetch_ranges, _RANGES_AT_ONCE)
        try:
            self._wait()
        finally:
            self._end()
        return self._done_fetched

    def _start(self, work: Callable[[], None], count: int) -> None:
        for _ in range(count):
            Thread(target=work, daemon=True).start()

    def _wait(self) -> None:
        while True:
            with self._over:
                over = self._failure is not None or self._finished == len(self._jobs)
                if not over:
                    self._over.wait(_TELL_EVERY)
            self._settle()
            self._tell()
            self._watch(self._state())
            if self._failure is not None:
                raise self._failure
            if over:
                return

    def _settle(self) -> None:
        with self._over:
            active = list(self._active)
        for job in active:
            with self._failing():
                job.settle()

    def _tell(self) -> None:
        with suppress(Empty):
            while True:
                self._watch(self._told.get_nowait())

    def _end(self) -> None:
        for job in self._jobs:
            job.stop()
        for _ in range(_RANGES_AT_ONCE):
            self._ranges.put(None)

    def _state(self) -> Moving:
        with self._over:
            active = list(self._active)
            done, fetched = self._done_bytes, self._done_fetched
        states = [job.state for job in active]
        return Moving(
            total=self._total,
            here=done + sum(state.here for state in states),
            hashed=done + sum(state.hashed for state in states),
            fetched=fetched + sum(job.fetched for job in active),
            running=tuple(state for state in states if (state.here or state.hashed) and state.hashed < state.size),
        )

    def _see_to_blobs(self) -> None:
        with suppress(Empty):
            while self._failure is None:
                job = self._todo.get_nowait()
                with self._failing():
                    self._see_to(job)

    def _see_to(self, job: BlobJob) -> None:
        with self._over:
            self._active.add(job)
        fetched = job.run(self._ranges.put, lambda path: self._told.put(Waiting(path)))
        for file in job.files:  # a blob that comes once may be several files
            self._told.put(Checked(file.path, fetched and file is job.file))
        with self._over:
            self._active.discard(job)
            self._done_bytes += job.file.size
            self._done_fetched += job.fetched
            self._finished += 1
            self._over.notify_all()

    def _fetch_ranges(self) -> None:
        while (wanted := self._ranges.get()) is not None and self._failure is None:
            job, start, stop = wanted
            with self._failing():
                self._fetch(job, start, stop)

    def _fetch(self, job: BlobJob, start: int, stop: int) -> None:
        """A source is closed here and now: one that is left to the garbage collector may be closed in the middle of
        another request, which then waits for itself.
        """
        pieces = self._content.read(job.file, start, stop)
        try:
            job.take(start, stop, pieces)
        finally:
            if isinstance(pieces, Generator):
                pieces.close()

    def _failing(self) -> "_Failing":
        return _Failing(self._fail)

    def _fail(self, error: BaseException) -> None:
        with self._over:
            self._failure = self._failure or error
            self._over.notify_all()


class _Failing:
    """Hands a thread's failure to the caller's thread; Stopped is none."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is not None and not isinstance(error, Stopped):
            self._fail(error)
        return True
