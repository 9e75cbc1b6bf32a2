"""What a cache can hold, as values: the description that the memory cache serves and test builders write to disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mlxk2.ports.blobs import blob_name
from mlxk2.ports.cache import ListedFile


class Placement(Enum):
    """How a snapshot entry is stored."""

    BLOB = "link to a blob"
    SHARED = "link to a blob that is a link into the shared Xet store"
    PLAIN = "real file in the snapshot (no-symlink cache)"
    DANGLING = "link to a blob that is not there"
    SHARED_DANGLING = "link to a blob whose payload in the shared store is not there"
    OUTSIDE = "link to a file outside the model's folder"
    OUTSIDE_BLOB = "link to a blob that is a link out of the cache"
    FOLDER = "link to a folder"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`lfs` decides how the blob is named: sha256 of the content, or git's blob sha1; `named` is another name.

    So a file `named` by the hash of other content is a damaged one.
    """

    content: bytes
    lfs: bool = False
    placement: Placement = Placement.BLOB
    named: str | None = None

    @property
    def etag(self) -> str:
        return self.named or blob_name(self.content, lfs=self.lfs)

    @property
    def payload(self) -> str:
        """Its name in the shared store, where it is there."""
        return self.etag[::-1]


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """Files by path, the snapshot folder's modification time, and the commit's listing where there is one."""

    files: Mapping[str, StoredFile]
    modified: float = 0.0
    listing: tuple[ListedFile, ...] | None = None

    @property
    def plain_content(self) -> bytes:
        """What the snapshot itself holds, in a cache without links."""
        return b"".join(file.content for file in self.files.values() if file.placement is Placement.PLAIN)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model folder. `partials` are (etag, size) of unfinished downloads; `modified` is that of every blob."""

    folder: str
    revisions: Mapping[str, StoredRevision]
    refs: Mapping[str, str]
    partials: tuple[tuple[str, int], ...] = ()
    held_locks: frozenset[str] = frozenset()
    stale_locks: frozenset[str] = frozenset()
    modified: float = 1_700_000_000.0
    extra: Mapping[str, bytes] = field(default_factory=dict)
