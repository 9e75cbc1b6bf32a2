"""Where a model's files come from before they are in the cache: the Hub, or this package itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a revision, as the Hub describes it.

    `path` is POSIX and relative, `size` in bytes; `etag` is the blob's name in the cache: sha256 for large (LFS, Xet)
    files, git's blob sha1 (`blob_id`) for the rest.
    """

    path: str
    size: int
    etag: str
    blob_id: str

    @property
    def is_lfs(self) -> bool:
        return len(self.etag) == 64


class Content(Protocol):
    """The bytes of one revision's files. Safe to read from several threads at once."""

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, in pieces as they arrive.

        What is transient is tried again where it broke off. Raises what `ports/errors.py` has for the rest. The bytes
        are not checked: whoever takes them hashes them.
        """


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A complete revision of a repo: its commit (40 hex), all of its files, and the way to their bytes."""

    name: str
    commit: str
    files: tuple[SourceFile, ...]
    content: Content


class ModelSource(Protocol):
    """Yields the files of a model that needs no network."""

    def fetch(self) -> SourceModel:
        """The model as shipped. Raises `errors.OperationError` when its files are missing from the installation."""

    def location(self) -> str:
        """Where an engine finds its files on this machine, without a cache."""
