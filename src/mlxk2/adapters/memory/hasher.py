"""The `ContentHasher` port over any cache of the harness: contents are read through the `ModelCache` port."""

from collections.abc import Mapping, Sequence

from mlxk2.adapters.memory.cache import MemoryCache
from mlxk2.ports.blobs import blob_name
from mlxk2.ports.cache import ContentReader, Head, LinkState, ModelCache, Reading
from mlxk2.ports.verifying import FileHashing, Hashed, Hashing, Settled, Target, Watch


class MemoryHasher:
    """Remembers a content by its size and its model's time of modification. `reads` are the targets it has read."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache
        self._remembered: dict[tuple[Target, int, float], Hashed] = {}
        self.reads: list[Target] = []

    def hashes(self, targets: Sequence[Target], now: float, since: float, watch: Watch) -> Mapping[Target, Hashed]:
        found: dict[Target, Hashed] = {}
        waiting: dict[Target, bytes] = {}
        for target in dict.fromkeys(targets):
            content = self._content(target)
            known = None if content is None else self._remembered.get(self._look(target, content))
            if content is None:
                found[target] = Hashed(None, problem="was deleted while it was checked")
            elif known and since <= known.taken <= now:
                found[target] = known._replace(fresh=False)
            else:
                waiting[target] = content
                continue
            watch(Settled(target, found[target]))
        total, done = sum(map(len, waiting.values())), 0
        for target, content in sorted(waiting.items(), key=lambda item: len(item[1]), reverse=True):
            self.reads.append(target)
            watch(Hashing(total, done, (FileHashing(target.path, len(content), 0),)))
            found[target] = Hashed(blob_name(content, lfs=target.sha256), len(content), now)
            self._remembered[self._look(target, content)] = found[target]
            done += len(content)
            watch(Settled(target, found[target]))
            watch(Hashing(total, done))
        for target, hashed in found.items():
            self._note(target, hashed)
        return found

    def _note(self, target: Target, hashed: Hashed) -> None:
        """A cache in memory is told what was found, as one on disk finds it in a file."""
        if isinstance(self._cache, MemoryCache) and target.blob and len(hashed.hash or "") == len(target.blob):
            self._cache.note_damage(target.folder, target.blob, is_damaged=hashed.hash != target.blob)

    def _look(self, target: Target, content: bytes) -> tuple[Target, int, float]:
        return target._replace(size=len(content)), len(content), self._cache.repo(target.folder).modified

    def _content(self, target: Target) -> bytes | None:
        """None for what is not there, or cannot be read."""
        if target.folder not in self._cache.folders():
            return None
        contents: dict[str, bytes] = {}

        def whole(path: str, size: int) -> Reading:  # noqa: ARG001 - the reader's shape
            return Head(size)

        def keep(path: str, size: int, head: bytes, tail: bytes) -> None:  # noqa: ARG001 - the reader's shape
            contents[path] = head

        repo = self._cache.repo(target.folder)
        for commit in [entry.commit for entry in repo.snapshots]:
            contents.clear()
            for file in self._cache.snapshot(repo, commit, ContentReader(whole, keep)).files:
                if _is(target, commit, file.path, file.blob) and file.state is LinkState.FILE:
                    return contents.get(file.path, b"")
        return None


def _is(target: Target, commit: str, path: str, blob: str | None) -> bool:
    return blob == target.blob if target.blob is not None else (commit, path) == (target.commit, target.path)
