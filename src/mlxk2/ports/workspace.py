"""A folder of the user's own that is to become a model on the Hub."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from mlxk2.ports.cache import ContentReader, FileFact


class LocalFile(NamedTuple):
    """`path` is POSIX and relative to the folder, `location` where the file is on this machine, `size` in bytes."""

    path: str
    location: str
    size: int


class Listing(NamedTuple):
    """The files of a folder, sorted by path.

    `odd` are entries that cannot be uploaded: links to folders, sockets. `outside` are links to files that are not
    below the folder; those of a snapshot in the cache to its own blobs are ordinary files. `targets` are the paths
    that links within the folder lead to.
    """

    files: tuple[LocalFile, ...]
    odd: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    targets: Mapping[str, str] = MappingProxyType({})


class Workspace(Protocol):
    """Reads a folder. Failures of the file system are `errors.AccessProblem`."""

    def listing(self, folder: str, enter: Callable[[str, frozenset[str]], bool]) -> Listing:
        """Everything below the folder. `enter` is asked about each sub-folder: its path, and the names in it.

        It is asked twice, first without the names, so that a folder that stays out need not be readable.

        Raises ValidationError when the folder is not there or is none.
        """

    def text(self, folder: str, name: str) -> str | None:
        """A text file of the folder; None when it is not there."""

    def pieces(self, file: LocalFile) -> Iterator[bytes]:
        """The file's content, a few hundred KB at a time."""

    def facts(self, files: tuple[LocalFile, ...], reader: ContentReader) -> tuple[FileFact, ...]:
        """The files as the rules of health look at them."""
