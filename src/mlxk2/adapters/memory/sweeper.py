"""The `CacheSweeper` port over the models of a `MemoryCache`; its trash and its records are given."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlxk2.adapters.memory.cache import MemoryCache
from mlxk2.adapters.memory.storage import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.pruning import (
    CacheContents,
    Kind,
    Leftover,
    LockFile,
    ModelContents,
    Outcome,
    PartialPiece,
    Payload,
    RecordFile,
    RevisionUse,
    StoredBlob,
    Swept,
    TrashEntry,
)

_UNCLEAR = (Placement.DANGLING, Placement.SHARED_DANGLING, Placement.OUTSIDE, Placement.FOLDER)
_IN_BLOBS = (Placement.BLOB, Placement.SHARED)
_LINKED = (*_IN_BLOBS, Placement.OUTSIDE_BLOB)
_LOOSE = "blobs/"
_PARTS = ("refs/", "trees/", ".no_exist/")
_IN_USE = "a download has begun to use it"


class MemorySweeper:
    """Blobs that nothing uses are those in a model's `extra`, as `blobs/<etag>`."""

    def __init__(self, cache: object, trash: Iterable[TrashEntry] = (), records: Iterable[RecordFile] = ()) -> None:
        """Of a cache that is not one in memory, there is nothing to tell."""
        self._cache = cache if isinstance(cache, MemoryCache) else MemoryCache()
        self._trash = tuple(trash)
        self._records = tuple(records)

    def contents(self) -> CacheContents:
        models = self._cache.stored()
        return CacheContents(tuple(map(_contents, models)), tuple(_payloads(models)), self._trash, self._records)

    def sweep(self, leftovers: Sequence[Leftover]) -> Swept:
        before = self._bytes()
        order = tuple(Kind)
        outcomes = [self._take(leftover) for leftover in sorted(leftovers, key=lambda one: order.index(one.kind))]
        self._take_blobs(outcome.leftover for outcome in outcomes if outcome.kept is None)
        return Swept(tuple(outcomes), before - self._bytes())

    def _take_blobs(self, gone: Iterable[Leftover]) -> None:
        """Those that several revisions had in common."""
        names = {f"{_LOOSE}{blob}" for leftover in gone for blob in leftover.blobs}
        for model in self._cache.stored():
            extra = {path: content for path, content in model.extra.items() if path not in names}
            self._cache.put(model.folder, replace(model, extra=extra))

    def _take(self, leftover: Leftover) -> Outcome:
        if leftover.kind is Kind.TRASH:
            self._trash = tuple(entry for entry in self._trash if entry.name != leftover.name)
        elif leftover.kind is Kind.RECORD:
            self._records = tuple(one for one in self._records if (one.folder, one.commit) != _record(leftover))
        elif leftover.folder is not None:
            models = {model.folder: model for model in self._cache.stored()}
            return self._take_from(models[leftover.folder], leftover)
        return Outcome(leftover)

    def _take_from(self, model: StoredModel, leftover: Leftover) -> Outcome:
        if _is_held(model, leftover):
            return Outcome(leftover, _IN_USE)
        if leftover.kind is Kind.FOLDER:
            self._cache.put(model.folder, None)
        else:
            self._cache.put(model.folder, _without(model, leftover))
        return Outcome(leftover)

    def _bytes(self) -> int:
        contents = self.contents()
        total = sum(one.size for one in contents.payloads) + sum(one.size for one in contents.trash)
        total += sum(one.size for one in contents.records)
        for model in contents.models:
            total += model.size + sum(one.size for one in model.revisions) + sum(one.size for one in model.blobs)
            total += sum(one.size for one in model.partials)
        return total


def _record(leftover: Leftover) -> tuple[str | None, str]:
    return leftover.folder, leftover.name


def _is_held(model: StoredModel, leftover: Leftover) -> bool:
    if leftover.kind in (Kind.PARTIAL, Kind.LOCK):
        installing = any(name.endswith(COMMIT_LOCK) for name in model.held_locks)
        return leftover.guard in model.held_locks or (installing and leftover.kind is Kind.PARTIAL)
    return bool(model.held_locks)


def _without(model: StoredModel, leftover: Leftover) -> StoredModel:
    if leftover.kind is Kind.REVISION:
        revisions = {commit: one for commit, one in model.revisions.items() if commit != leftover.name}
        stay = {file.etag for one in revisions.values() for file in one.files.values()}
        loose = {
            f"{_LOOSE}{file.etag}": file.content
            for file in model.revisions[leftover.name].files.values()
            if file.etag not in stay and file.etag not in leftover.blobs and file.placement is Placement.BLOB
        }
        return replace(model, revisions=revisions, extra={**model.extra, **loose})
    if leftover.kind is Kind.BLOB:
        return replace(model, extra={path: one for path, one in model.extra.items() if path != _LOOSE + leftover.name})
    if leftover.kind is Kind.LOCK:
        return replace(model, stale_locks=model.stale_locks - {leftover.guard})
    partials = [one for one in model.partials if one != (leftover.guard, leftover.size)]
    return replace(model, partials=tuple(partials))


def _contents(model: StoredModel) -> ModelContents:
    files = [file for one in model.revisions.values() for file in one.files.values()]
    if any(file.placement in _UNCLEAR for file in files):
        return ModelContents(model.folder, problem="a link of it is broken, or leads to another place")
    loose = {path: content for path, content in model.extra.items() if path.startswith(_LOOSE)}
    blobs = {file.etag: _blob(model, file) for file in files if file.placement in _IN_BLOBS}
    blobs |= {
        path.removeprefix(_LOOSE): StoredBlob(path.removeprefix(_LOOSE), len(content), model.modified)
        for path, content in loose.items()
    }
    return ModelContents(
        model.folder,
        refs=frozenset(model.refs.values()),
        revisions=tuple(sorted(_use(commit, one) for commit, one in model.revisions.items())),
        blobs=tuple(sorted(blobs.values())),
        partials=tuple(sorted(_pieces(model))),
        locks=tuple(
            LockFile(guard, model.modified, guard in model.held_locks)
            for guard in sorted(model.stale_locks | model.held_locks)
        ),
        size=sum(len(content) for path, content in model.extra.items() if path.startswith(_PARTS))
        + sum(len(commit) for commit in model.refs.values()),
        modified=model.modified,
        other=any(not path.startswith((*_PARTS, _LOOSE)) for path in model.extra)
        or any(file.placement is Placement.OUTSIDE_BLOB for file in files),
    )


def _use(commit: str, revision: StoredRevision) -> RevisionUse:
    blobs = frozenset(file.etag for file in revision.files.values() if file.placement in _LINKED)
    return RevisionUse(commit, blobs, len(revision.plain_content), revision.modified)


def _blob(model: StoredModel, file: StoredFile) -> StoredBlob:
    if file.placement is Placement.SHARED:
        return StoredBlob(file.etag, 0, model.modified, file.payload)
    return StoredBlob(file.etag, len(file.content), model.modified)


def _pieces(model: StoredModel) -> Iterable[PartialPiece]:
    for number, (etag, size) in enumerate(model.partials):
        yield PartialPiece(f"{etag}.{number:08x}.incomplete", etag, size, model.modified)


def _payloads(models: Iterable[StoredModel]) -> Iterable[Payload]:
    found: dict[str, Payload] = {}
    for model in models:
        for file in (file for one in model.revisions.values() for file in one.files.values()):
            if file.placement is Placement.SHARED:
                known = found.get(file.payload)
                users = (known.users or frozenset()) if known else frozenset()
                users |= {f"{model.folder}/{file.etag}"}
                found[file.payload] = Payload(file.payload, len(file.content), model.modified, users)
    return [found[name] for name in sorted(found)]
