"""The `ModelCache` port on a real Hugging Face cache; `root` is the resolved folder and is passed on everywhere.

What changes the cache is imported when it is used, so that reading starts sooner.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.access import access
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.locks import held_locks
from mlxk2.adapters.hfcache.repo import read_repo
from mlxk2.adapters.hfcache.snapshot import read_snapshot
from mlxk2.ports.cache import ContentReader, Removal, RepoFacts, SnapshotFacts
from mlxk2.ports.errors import ValidationError

if TYPE_CHECKING:
    from mlxk2.adapters.hfcache.damage import KnownDamage
    from mlxk2.adapters.hfcache.remembering import Memory
    from mlxk2.ports.sources import SourceFile
    from mlxk2.ports.transfer import Delivery, Watch

WORTH_INDEXING = 100
"""Models that are read as fast as an index of them."""
SETTLED = 3.0
"""Seconds, longer than a tick of any file system's clock (FAT: two of them)."""


class HfCache:
    """Facts and changes of one cache folder, which need not exist yet.

    `state_dir` and `memory_dir` as in `Settings`. In the one listings are recorded that huggingface_hub has not, in the
    other facts are kept of a cache with at least `worth_indexing` models, of what has not changed for `settled`
    seconds; None records and keeps nothing.
    """

    def __init__(
        self,
        root: str,
        state_dir: str | None = None,
        memory_dir: str | None = None,
        *,
        worth_indexing: int = WORTH_INDEXING,
        settled: float = SETTLED,
    ) -> None:
        self._root = os.path.abspath(root)
        self._listings = Listings(self._root, state_dir)
        self._memory_dir = memory_dir
        self._worth_indexing = worth_indexing
        self._settled = settled
        self._memory: Memory | None = None
        self._damage: KnownDamage | None = None
        self._shared: bool | None = None
        self._found: list[str] = []

    def place(self) -> str:
        return self._root

    def folders(self) -> list[str]:
        with access(f"the cache folder {self._root}"):
            try:
                with os.scandir(self._root) as entries:
                    found = sorted(
                        entry.name for entry in entries if layout.MODEL_FOLDER.fullmatch(entry.name) and _is_dir(entry)
                    )
            except FileNotFoundError:
                return []
        self._remember(len(found))
        self._found = found
        return found

    def repo(self, folder: str) -> RepoFacts:
        if self._shared is None:
            self._shared = shared_store.exists(self._root)
        if damaged := self._damaged(_checked(folder)):
            return read_repo(self._root, folder, shared=self._shared)._replace(damaged=damaged)
        if self._memory:
            return self._memory.repo(folder, shared=self._shared)
        return read_repo(self._root, folder, shared=self._shared)

    def snapshot(self, repo: RepoFacts, commit: str, reader: ContentReader) -> SnapshotFacts:
        if self._memory:
            return self._memory.snapshot(repo, _commit(commit), reader)
        return read_snapshot(self._root, repo, _commit(commit), reader, self._listings)

    def held_locks(self, folder: str) -> frozenset[str]:
        return held_locks(self._root, _checked(folder))

    def settle(self) -> None:
        if self._memory:
            self._memory.save(self._found)

    def location(self, folder: str, commit: str) -> str:
        return os.path.join(self._root, _checked(folder), layout.SNAPSHOTS, _commit(commit))

    def freed_bytes(self, removal: Removal) -> int:
        from mlxk2.adapters.hfcache import remove

        _check(removal)
        return remove.freed_bytes(self._root, removal)

    def remove(self, removal: Removal) -> None:
        _check(removal)
        from mlxk2.adapters.hfcache import remove

        with access(self._named(removal.folder)):
            remove.remove(self._root, removal)
        self._listings.forget(removal.folder, removal.commits or None)

    def record_listing(self, folder: str, commit: str, files: "Iterable[SourceFile]") -> None:
        self._listings.record(_checked(folder), _commit(commit), files)

    def missing_bytes(self, folder: str, commit: str, files: "Iterable[SourceFile]") -> int:
        from mlxk2.adapters.hfcache import install

        with access(self._named(folder)):
            return install.missing_bytes(self._root, _checked(folder), _commit(commit), files)

    def free_bytes(self) -> int:
        from mlxk2.adapters.hfcache import install

        with access(f"the cache folder {self._root}"):
            return install.free_bytes(self._root)

    def install(self, delivery: "Delivery", watch: "Watch") -> int:
        from mlxk2.adapters.hfcache import install

        _checked(delivery.folder)
        _commit(delivery.commit)
        for part in delivery.ref.split("/") if delivery.ref else ():
            _plain_name(part)
        with access(self._named(delivery.folder)):
            written = install.install(self._root, delivery, watch)
        self._listings.forget(delivery.folder, (delivery.commit,))  # it has written huggingface_hub's own
        return written

    def _damaged(self, folder: str) -> frozenset[str]:
        if self._memory_dir is None:
            return frozenset()
        if self._damage is None:
            from mlxk2.adapters.hfcache.damage import KnownDamage

            self._damage = KnownDamage(self._root, self._memory_dir)
        return self._damage.blobs(folder)

    def _remember(self, models: int) -> None:
        if self._memory is None and self._memory_dir is not None and models >= self._worth_indexing:
            from mlxk2.adapters.hfcache.remembering import Memory

            self._memory = Memory(self._root, self._memory_dir, self._listings, self._settled)

    def _named(self, folder: str) -> str:
        return f"{folder} in the cache {self._root}"


def _is_dir(entry: os.DirEntry[str]) -> bool:
    """A folder, or a link that may lead to one: what cannot be read is reported, not hidden."""
    try:
        return entry.is_symlink() or entry.is_dir()
    except OSError:
        return True


def _checked(folder: str) -> str:
    if not layout.MODEL_FOLDER.fullmatch(folder):
        raise ValidationError(f"{folder!r} is not a model folder of the cache")
    return folder


def _commit(commit: str) -> str:
    if not layout.COMMIT.fullmatch(commit):
        raise ValidationError(f"{commit!r} is not a commit (40 hexadecimal digits)")
    return commit


def _check(removal: Removal) -> None:
    _checked(removal.folder)
    for name in (*removal.commits, *removal.blobs, *(part for ref in removal.refs for part in ref.split("/"))):
        _plain_name(name)


def _plain_name(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValidationError(f"{name!r} is not the name of something inside a model folder")
