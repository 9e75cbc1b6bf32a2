"""A model on its way into the cache: what is to be installed, and what is told meanwhile."""

from collections.abc import Callable
from typing import NamedTuple

from mlxk2.ports.sources import Content, SourceFile


class Delivery(NamedTuple):
    """A revision to install: `files` are those wanted of it, `listing` are all that the commit has.

    `ref` is the branch or tag that shall name the commit in the cache, None when it was asked for by its hash.
    """

    folder: str
    commit: str
    ref: str | None
    files: tuple[SourceFile, ...]
    listing: tuple[SourceFile, ...]
    content: Content


class Waiting(NamedTuple):
    """Another process is busy with this model, or with one of its files."""

    what: str


class FileState(NamedTuple):
    """How far one file is: bytes that are here, and of these the ones whose hash has been taken."""

    path: str
    size: int
    here: int
    hashed: int


class Moving(NamedTuple):
    """The state of the whole delivery, several times a second: `running` files only, sums over all of them.

    `here` of `total` bytes are on the disk, `hashed` of them are checked; `fetched` came over the wire in this run.
    """

    total: int
    here: int
    hashed: int
    fetched: int
    running: tuple[FileState, ...]


class Checked(NamedTuple):
    """A file is complete and its hash is right; `fetched` is False for one that was in the cache before."""

    path: str
    fetched: bool


Event = Waiting | Moving | Checked
Watch = Callable[[Event], None]


def unwatched(event: Event) -> None:
    """For whoever does not want to be told."""
