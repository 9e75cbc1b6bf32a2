"""The files that a cache has on the disk, as facts: what is how large, and which names mean the same bytes."""

from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, Protocol

SHARED_STORE = "blobs"
"""The folder of files that models share; their blobs are links into it."""
BLOBS = "blobs"
"""The folder of a model in which its contents are."""


class DiskFile(NamedTuple):
    """A file, or a model's blob that is a link into the shared store and then stands for the file there.

    `folder` is the first part of its path in the cache ("" for what lies beside the folders), `path` the rest. `size`
    is in bytes; of a file that is being downloaded, only those that are there. Names of the same bytes have the same
    `identity`; `names` is how many the disk knows of, inside and outside of the cache, links not counted.
    """

    folder: str
    path: str
    size: int
    identity: Hashable
    names: int = 1
    is_link: bool = False
    is_partial: bool = False


Missed = Callable[[str], None]
"""Is told the path in the cache of every folder that could not be read to the end."""


class CacheDisk(Protocol):
    """Everything in a cache folder, whatever it belongs to."""

    def files(self, missed: Missed) -> Iterator[DiskFile]:
        """In no order; what vanishes meanwhile is passed over, and so is what cannot be read."""
