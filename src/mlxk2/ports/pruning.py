"""What a cache holds beyond what its models use, as facts, and how some of it is taken away.

A folder is the name of a model's directory in the cache; sizes are bytes, times seconds since the epoch (UTC). No
record holds an absolute path. A guard is the name of a lock without its ending: a blob's etag, or a commit with
`COMMIT_LOCK`.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol


class Kind(Enum):
    """What can be left over, in the order in which it is shown."""

    REVISION = "revision"
    BLOB = "blob"
    PARTIAL = "partial"
    FOLDER = "folder"
    PAYLOAD = "payload"
    TRASH = "trash"
    LOCK = "lock"
    RECORD = "record"


class RevisionUse(NamedTuple):
    """A snapshot folder: the blobs that it links to, the bytes of its files that are no links, and its newest time.

    A file that has another name (a hard link) counts no bytes, here and below: they stay with that name.
    """

    commit: str
    blobs: frozenset[str]
    size: int
    modified: float


class StoredBlob(NamedTuple):
    """A blob. `size` is 0 for a link into the shared store, where `payload` names the file that it leads to."""

    name: str
    size: int
    modified: float
    payload: str | None = None


class PartialPiece(NamedTuple):
    """What a download has left behind or is writing; whoever writes it holds the lock that `guard` names."""

    name: str
    guard: str
    size: int
    modified: float


class LockFile(NamedTuple):
    guard: str
    modified: float
    held: bool


class ModelContents(NamedTuple):
    """One model's folder and its locks. `there` is False where only locks are left.

    `refs` are commits that refs name. `size` and `modified` are of what stands beside blobs and snapshots. `other`
    tells of things that no cache has made. `problem` says in words why nobody can tell what the model uses.
    """

    folder: str
    there: bool = True
    refs: frozenset[str] = frozenset()
    revisions: tuple[RevisionUse, ...] = ()
    blobs: tuple[StoredBlob, ...] = ()
    partials: tuple[PartialPiece, ...] = ()
    locks: tuple[LockFile, ...] = ()
    size: int = 0
    modified: float = 0.0
    other: bool = False
    problem: str | None = None


class Payload(NamedTuple):
    """A file of the store that models share. `users` are its blobs as `<folder>/<blob>`; None when nobody can tell."""

    name: str
    size: int
    modified: float
    users: frozenset[str] | None


class TrashEntry(NamedTuple):
    """What an interrupted deletion has left."""

    name: str
    size: int
    modified: float


class RecordFile(NamedTuple):
    """Our own record of what a commit should hold."""

    folder: str
    commit: str
    size: int
    modified: float


class CacheContents(NamedTuple):
    """`payload_locks` are those of the shared store whose payload is gone; their guard is its name."""

    models: tuple[ModelContents, ...] = ()
    payloads: tuple[Payload, ...] = ()
    trash: tuple[TrashEntry, ...] = ()
    records: tuple[RecordFile, ...] = ()
    payload_locks: tuple[LockFile, ...] = ()


class Leftover(NamedTuple):
    """One thing that can go. `name` is the commit, blob or file; "" for a model's folder.

    A partial file and a lock have their guard.
    `blobs` go with a revision, as far as nothing else uses them by then. `size` is what going frees; what several
    leftovers share is counted at the first.
    """

    kind: Kind
    folder: str | None
    name: str
    size: int
    modified: float
    blobs: tuple[str, ...] = ()
    guard: str = ""


class Outcome(NamedTuple):
    """`kept` says in words why the thing is still there; `refused` tells that the file system did not allow it."""

    leftover: Leftover
    kept: str | None = None
    refused: bool = False


class Swept(NamedTuple):
    """One outcome for each leftover, in no order, and the bytes that the disk has regained."""

    outcomes: tuple[Outcome, ...]
    freed: int


class CacheSweeper(Protocol):
    """Looks through a whole cache and takes leftovers away. Failures of the file system are `errors.AccessProblem`."""

    def contents(self) -> CacheContents:
        """Everything that could be left over; never raises for what is broken inside a model's folder."""

    def sweep(self, leftovers: Sequence[Leftover]) -> Swept:
        """Delete them. Each is looked at once more under its locks, and stays when somebody uses it by now."""
