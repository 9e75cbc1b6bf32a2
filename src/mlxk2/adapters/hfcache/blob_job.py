"""Bringing one blob into the cache: what is here is hashed, what is missing is fetched, and only a right hash gets the
blob's name.

The hash follows the download: as soon as a piece stands behind all the earlier ones it is read back from the disk,
while other threads fetch the rest.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from threading import Condition

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.gathering import Gathered
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.partial import LetGo, Partial, give_up_name
from mlxk2.adapters.hfcache.placing import is_real, real_file
from mlxk2.ports.blobs import BlobHash
from mlxk2.ports.errors import DownloadFailed
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import FileState

_PIECE = 256 * 1024
_WORTH_WAKING = 1024 * 1024
"""Bytes behind the hash at which it goes on."""
_ATTEMPTS = 2
"""Content that arrives wrong is fetched once more from the beginning."""

Range = tuple["BlobJob", int, int]


class Stopped(Exception):
    """Another part of the delivery failed, or the user gave up."""


class BlobJob:
    """One blob, and the files of the commit that hold it. `state` may be read from any thread."""

    def __init__(
        self, root: str, folder: str, commit: str, files: Sequence[SourceFile], pieces: Sequence[str] = ()
    ) -> None:
        self.files = files
        self.file = files[0]
        self.fetched = 0
        self._root = root
        self._blobs = os.path.join(root, folder, layout.BLOBS)
        self._blob = os.path.join(self._blobs, self.file.etag)
        self._snapshot = os.path.join(root, folder, layout.SNAPSHOTS, commit)
        self._lock = os.path.join(root, layout.LOCKS, folder, f"{self.file.etag}.lock")
        self._pieces = list(pieces)
        self._changed = Condition()
        self._gathering: list[Gathered] = []
        self._partial: Partial | None = None
        self._here = 0
        self._hashed = 0
        self._stopped = False

    @property
    def state(self) -> FileState:
        partial = self._partial
        return FileState(self.file.path, self.file.size, partial.done if partial else self._here, self._hashed)

    def stop(self) -> None:
        """Ends the job at its next piece; what is there stays there."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self, ask: Callable[[Range], None], waiting: Callable[[str], None]) -> bool:
        """Returns whether bytes had to be fetched. `ask` hands a range to whoever fetches, who calls `take`.

        Raises DownloadFailed when the content arrives wrong twice, Stopped, and OSError.
        """
        with lock(self._lock, waiting=lambda: waiting(self.file.path)):
            if self._is_here():
                return False
            if os.path.lexists(self._blob) and (piece := give_up_name(self._blobs, self.file.etag, self.file.size)):
                self._pieces.append(piece)
            attempts = 0
            while attempts < _ATTEMPTS:
                before = self.fetched
                if self._fetch(ask):
                    return True
                attempts += self.fetched - before == self.file.size  # what was left by others may have been wrong
        raise DownloadFailed(
            f"{self.file.path} arrived damaged twice: its hash is not the one that the Hub names; nothing else is lost,"
            " try again later, and tell the owner of the repo if it stays so"
        )

    def take(self, start: int, stop: int, pieces: Iterator[bytes]) -> None:
        """Write what a source yields, from `start` on. Raises what the source raises, Stopped, and OSError."""
        partial = self._partial
        if partial is None:
            raise Stopped
        gathered = Gathered(partial, start, stop)
        self._gathering.append(gathered)
        try:
            for piece in pieces:
                if self._stopped:
                    raise Stopped
                gathered.add(piece)
                if gathered.is_due:
                    self._keep(gathered)
                if gathered.is_full:
                    break
        finally:
            self._gathering.remove(gathered)
            self._keep(gathered)
        if not gathered.is_full:
            raise DownloadFailed(f"{self.file.path} ended too early; run the same command again")

    def settle(self) -> None:
        """Write what has been gathered: called now and then, so that a source that stalls keeps nothing in the air.

        Raises Stopped, and OSError.
        """
        for gathered in list(self._gathering):
            if gathered.is_due:
                self._keep(gathered)

    def _keep(self, gathered: Gathered) -> None:
        try:
            written = gathered.write()
        except LetGo as error:
            raise Stopped from error
        with self._changed:
            self.fetched += written
            if gathered.is_full or gathered.position - self._hashed > _WORTH_WAKING:
                self._changed.notify_all()

    def _is_here(self) -> bool:
        """Whether the cache has the right content: as a blob, as a link into the shared store, or as a real file.

        What is known to be wrong loses its name, for it must not look right should the fetching fail.
        """
        if os.path.lexists(self._blob):
            path = shared_store.target(self._root, self._blob) if os.path.islink(self._blob) else self._blob
            return path is not None and is_real(path, self.file.size) and self._is_right(path)
        real = [path for file in self.files if (path := real_file(self._snapshot, file))]
        right = [path for path in real if self._is_right(path)]
        for path in set(real) - set(right):
            os.unlink(path)
        return bool(right)

    def _is_right(self, path: str) -> bool:
        self._here = self.file.size
        with open(path, "rb", buffering=0) as stored:
            right = self._hash(stored.fileno(), lambda: self.file.size) == self.file.etag
        if not right:
            self._here = self._hashed = 0
        return right

    def _fetch(self, ask: Callable[[Range], None]) -> bool:
        partial = self._partial = Partial(self._blobs, self.file.etag, self.file.size, self._pieces)
        right = False
        try:
            for start, stop in partial.missing():
                ask((self, start, stop))
            right = self._hash(partial.handle, lambda: self._wait_for(partial)) == self.file.etag
            if right:
                partial.finish(self._blob)
            else:
                partial.discard()
        finally:
            self._here, self._partial = partial.done if right else 0, None
            partial.close()
        return right

    def _wait_for(self, partial: Partial) -> int:
        """The frontier, once it has moved beyond what is hashed."""
        with self._changed:
            while (frontier := partial.frontier) <= self._hashed < self.file.size:
                if self._stopped:
                    raise Stopped
                self._changed.wait()
            return frontier

    def _hash(self, handle: int, readable: Callable[[], int]) -> str:
        """The hash of the content, read as far as `readable` says and then asked again."""
        digest = BlobHash(self.file.size, lfs=self.file.is_lfs)
        self._hashed = 0
        while self._hashed < self.file.size:
            if self._stopped:
                raise Stopped
            end = readable()
            while self._hashed < end and not self._stopped:
                piece = os.pread(handle, min(_PIECE, end - self._hashed), self._hashed)
                if not piece:
                    return "the file became shorter while it was read"
                digest.update(piece)
                self._hashed += len(piece)
        return digest.name()
