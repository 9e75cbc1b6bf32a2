"""The Hugging Face cache as facts: what is on disk, without a verdict.

An adapter reports; `domain/health.py`, `classify.py` and `resolution.py` judge. A folder is the name of a model's
directory in the cache (`models--org--name`); paths are POSIX and relative to the snapshot; sizes are bytes; times are
seconds since the epoch (UTC). No record holds an absolute path. Records are named tuples, because a large cache
has tens of thousands of them and they are made three times as fast.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlxk2.ports.contents import Content

if TYPE_CHECKING:
    from mlxk2.ports.sources import SourceFile
    from mlxk2.ports.transfer import Delivery, Watch


class LinkState(Enum):
    """How a snapshot entry reaches its bytes."""

    FILE = "file"
    DANGLING = "dangling link"
    OUTSIDE = "link out of the model's folder"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not a file"


class Head(NamedTuple):
    """Read the first `length` bytes."""

    length: int


class Ends(NamedTuple):
    """Read the first and the last `length` bytes."""

    length: int


class LengthPrefixed(NamedTuple):
    """Read a little-endian u64 and as many bytes as it says, never more than `limit` of them."""

    limit: int


Reading = Head | Ends | LengthPrefixed
Probe = Callable[[str, int], Reading | None]
"""Given a file's path and size, what of its content the caller wants (None: nothing)."""


class ContentReader(NamedTuple):
    """How a caller looks into files: which bytes it wants, and what it makes of them.

    `digest` is given path, size, first and last bytes. `edition` changes whenever one of the two would answer
    differently; None says that the answers are not worth keeping.
    """

    probe: Probe
    digest: Callable[[str, int, bytes, bytes], Content | None]
    edition: str | None = None


def _wants_nothing(path: str, size: int) -> None:
    """Names and sizes are enough."""


def _makes_nothing(path: str, size: int, head: bytes, tail: bytes) -> None:
    """Is not asked, since nothing is read."""


READ_NOTHING = ContentReader(_wants_nothing, _makes_nothing)


class FileFact(NamedTuple):
    """One entry of a snapshot: `blob` is the name after the first hop, `size` of the bytes at the end of all hops.

    `content` is None where the reader wanted nothing, or made nothing of it.
    """

    path: str
    state: LinkState
    size: int = 0
    blob: str | None = None
    content: Content | None = None


class ListedFile(NamedTuple):
    """One row of huggingface_hub's `trees/<commit>.json`: what the commit should hold."""

    path: str
    size: int
    blob: str


class SnapshotEntry(NamedTuple):
    """A snapshot folder and when it last gained or lost an entry."""

    commit: str
    modified: float


class PartialFile(NamedTuple):
    """A `<etag>.<hex>.incomplete` left in `blobs/`."""

    etag: str
    size: int
    finished: bool


class BlobFact(NamedTuple):
    """One file of `blobs/`, followed into the shared store when it is a link there; `size` of the bytes at the end.

    `payload` names the file of the shared store, which blobs of other models may use too; `used` is when it was last
    read, as far as the file system keeps account of that.
    """

    size: int
    state: LinkState
    payload: str | None = None
    used: float = 0.0


_USED = attrgetter("used")

COMMIT_LOCK = ".commit"
"""Ends the name of the lock that is held while a commit is installed; the other locks are named by a blob's etag."""


class RepoFacts(NamedTuple):
    """One model folder: refs, snapshots, leftovers and locks. `problem` says in words why it could not be read.

    `held_locks` are those that tell of a download: of commits, and of blobs that are not here or not whole yet.
    `damaged` are blobs whose content was found to be another than their name says, and that have not changed since.
    `is_gone` tells that there is no such folder: another program has deleted it since it was listed.
    """

    folder: str
    refs: Mapping[str, str]
    snapshots: tuple[SnapshotEntry, ...]
    blobs: Mapping[str, BlobFact]
    partials: tuple[PartialFile, ...] = ()
    held_locks: frozenset[str] = frozenset()
    modified: float = 0.0
    is_link: bool = False
    problem: str | None = None
    is_gone: bool = False
    damaged: frozenset[str] = frozenset()

    @property
    def used(self) -> float:
        """When one of the blobs was last read; 0 where there are none."""
        return max(map(_USED, self.blobs.values()), default=0.0)

    @property
    def installing(self) -> frozenset[str]:
        """Commits that are being pulled at this moment."""
        return frozenset(name.removesuffix(COMMIT_LOCK) for name in self.held_locks if name.endswith(COMMIT_LOCK))


class SnapshotFacts(NamedTuple):
    """One snapshot: its entries sorted by path, and the recorded listing where there is one.

    Without a listing, `elsewhere` are the blobs that the listings of other commits name: a download of these is no
    business of this snapshot. It is empty where nothing is being downloaded.
    """

    commit: str
    files: tuple[FileFact, ...]
    listing: tuple[ListedFile, ...] | None = None
    elsewhere: frozenset[str] = frozenset()


class Removal(NamedTuple):
    """What a deletion takes away. `commits` empty means the whole model folder with its locks.

    `refs`, `commits` and `blobs` are names inside the folder; `frees` is the number of bytes that the disk regains.
    """

    folder: str
    refs: tuple[str, ...]
    commits: tuple[str, ...]
    blobs: tuple[str, ...]
    frees: int

    @property
    def whole_model(self) -> bool:
        return not self.commits


class ModelCache(Protocol):
    """The models on disk. Failures of the file system are `errors.AccessProblem`."""

    def place(self) -> str:
        """Where the cache is, for people who wonder why it is empty."""

    def folders(self) -> list[str]:
        """Names of all model folders, sorted; empty when the cache does not exist."""

    def repo(self, folder: str) -> RepoFacts:
        """Facts of one folder; never raises for what is broken inside it."""

    def snapshot(self, repo: RepoFacts, commit: str, reader: ContentReader) -> SnapshotFacts:
        """Facts of one snapshot, with what `reader` makes of each file's content."""

    def held_locks(self, folder: str) -> frozenset[str]:
        """Names of all the folder's locks that another process holds at this moment."""

    def settle(self) -> None:
        """Keep what was read for the next time, where that pays; the facts are the same without. Never fails."""

    def location(self, folder: str, commit: str) -> str:
        """Where an engine finds the snapshot's files on this machine."""

    def freed_bytes(self, removal: Removal) -> int:
        """Bytes the disk regains when the plan is carried out; shared ones count when no other model has them."""

    def remove(self, removal: Removal) -> None:
        """Carry out a deletion: a model goes whole or not at all; a revision goes ref, snapshot, blobs.

        Raises `errors.ModelNotFound` when another program has deleted the model meanwhile.
        """

    def record_listing(self, folder: str, commit: str, files: "Iterable[SourceFile]") -> None:
        """Keep what a commit holds, of a snapshot that is here and has no listing; never fails.

        `snapshot` tells it from then on, until the snapshot is removed.
        """

    def missing_bytes(self, folder: str, commit: str, files: "Iterable[SourceFile]") -> int:
        """Bytes of the disk that installing the files would still take; judged by names and sizes, not by content."""

    def free_bytes(self) -> int:
        """Bytes that the disk of the cache has left for this user."""

    def install(self, delivery: "Delivery", watch: "Watch") -> int:
        """Bring every file into the cache, make the snapshot and the ref; returns the bytes that came from the source.

        Every file's hash is taken, whether it was here before or comes now; a wrong one is fetched anew. Until the end
        the commit's lock is held, so that others see a download in progress; whoever finds it held waits. What breaks
        off leaves partial files, and the next call goes on from these. Raises `errors.DownloadFailed` when the
        content is wrong twice, `errors.DiskFull`, and whatever the source raises.
        """
