"""Taking the hash of what the cache holds: which contents, what was found, and how it is told meanwhile.

An adapter takes hashes and remembers them; which hash a content should have, and so whether it is damaged, is decided
in `domain/verification.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol


class Target(NamedTuple):
    """A content whose hash is wanted: a blob of a model, or (`blob` None) a real file in the snapshot of `commit`.

    `path` is its name in a snapshot, for a blob one of its names. `sha256` says which hash; else it is git's blob sha1.
    """

    folder: str
    blob: str | None
    commit: str | None
    path: str
    size: int
    sha256: bool


class Hashed(NamedTuple):
    """What became of a target. `hash` in hex, or None and in `problem` why there is none, as half a sentence.

    `taken` is when the content was read, in seconds since the epoch; `fresh` tells whether that was in this call.
    """

    hash: str | None
    size: int = 0
    taken: float = 0.0
    fresh: bool = True
    problem: str | None = None


class FileHashing(NamedTuple):
    """How far one file is."""

    path: str
    size: int
    done: int


class Hashing(NamedTuple):
    """How far the whole is, several times a second: `done` of `total` bytes that are to be read in this call."""

    total: int
    done: int
    running: tuple[FileHashing, ...] = ()


class Settled(NamedTuple):
    """The hash of a target is known now."""

    target: Target
    hashed: Hashed


Event = Hashing | Settled
Watch = Callable[[Event], None]


class ContentHasher(Protocol):
    """Reads contents of the cache, and nothing twice that has not changed."""

    def hashes(self, targets: Sequence[Target], now: float, since: float, watch: Watch) -> Mapping[Target, Hashed]:
        """The hash of every target; `watch` is told of each of them once, in any order, from this thread.

        A hash that was taken at `since` or later, of a file that looks as it did then, is good enough; others are
        taken anew and remembered as of `now`. What has been read is remembered at once, so that whoever is stopped
        in the middle goes on from there. Never raises for what is wrong with a content.
        """
