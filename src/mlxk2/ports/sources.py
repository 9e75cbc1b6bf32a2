"""Where a model's files come from before they are in the cache."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to install.

    `etag` is the blob's name: sha256 for large (LFS) files, git's blob sha1 for the rest; `read` yields the content.
    """

    path: str
    size: int
    etag: str
    blob_id: str
    read: Callable[[], bytes]

    @property
    def is_lfs(self) -> bool:
        return len(self.etag) == 64


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A complete revision of a repo, ready to install: its commit (40 hex) and its files."""

    name: str
    commit: str
    files: tuple[SourceFile, ...]


class ModelSource(Protocol):
    """Yields the files of a model that needs no network."""

    def fetch(self) -> SourceModel:
        """The model as shipped. Raises `errors.OperationError` when its files are missing from the installation."""
