"""The `ModelCache` port over stored models in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mlxk2.adapters.memory.storage import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.blobs import blob_name
from mlxk2.ports.cache import (
    BlobFact,
    ContentReader,
    Ends,
    FileFact,
    Head,
    LinkState,
    ListedFile,
    PartialFile,
    Removal,
    RepoFacts,
    SnapshotEntry,
    SnapshotFacts,
)
from mlxk2.ports.errors import DownloadFailed, ModelNotFound
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import Checked, Delivery, Watch

_STATES = {
    Placement.BLOB: LinkState.FILE,
    Placement.SHARED: LinkState.FILE,
    Placement.PLAIN: LinkState.FILE,
    Placement.DANGLING: LinkState.DANGLING,
    Placement.SHARED_DANGLING: LinkState.DANGLING,
    Placement.OUTSIDE: LinkState.OUTSIDE,
    Placement.OUTSIDE_BLOB: LinkState.OUTSIDE,
    Placement.FOLDER: LinkState.NOT_A_FILE,
}
_IN_BLOBS = (Placement.BLOB, Placement.SHARED, Placement.SHARED_DANGLING, Placement.OUTSIDE_BLOB)
_WHOLE = (Placement.BLOB, Placement.SHARED)
_LINKED = (*_IN_BLOBS, Placement.DANGLING)


class MemoryCache:
    """Holds its models by folder; `installed_at` is the time of new files, `free_bytes` what the disk has left."""

    def __init__(
        self,
        models: Iterable[StoredModel] = (),
        installed_at: float = 1_700_000_000.0,
        free_bytes: int = 10**12,
    ) -> None:
        self._models = {model.folder: model for model in models}
        self._installed_at = installed_at
        self._free_bytes = free_bytes
        self._loose_blobs: dict[str, dict[str, StoredFile]] = {}
        self._damaged: dict[str, dict[str, StoredFile]] = {}

    def place(self) -> str:
        return "memory"

    def folders(self) -> list[str]:
        return sorted(self._models)

    def repo(self, folder: str) -> RepoFacts:
        model = self._models.get(folder)
        if model is None:
            unreadable = "the folder cannot be read: no such file or directory"
            return RepoFacts(folder, {}, (), {}, problem=unreadable, is_gone=True)
        blobs = {file.etag: _blob(file, model.modified) for file in self._blob_files(model)}
        snapshots = (SnapshotEntry(commit, revision.modified) for commit, revision in model.revisions.items())
        entries = tuple(sorted(snapshots, key=lambda entry: entry.commit))
        coming = {etag for etag, _ in model.partials}
        reachable = any(blob.state is LinkState.FILE for blob in blobs.values())
        return RepoFacts(
            folder=folder,
            refs=dict(model.refs),
            snapshots=entries,
            blobs=blobs,
            partials=tuple(PartialFile(etag, size, etag in blobs) for etag, size in sorted(model.partials)),
            held_locks=frozenset(lock for lock in model.held_locks if lock not in blobs or lock in coming),
            modified=model.modified if reachable or not entries else max(entry.modified for entry in entries),
            damaged=self._known_damage(model),
        )

    def _known_damage(self, model: StoredModel) -> frozenset[str]:
        known = self._damaged.get(model.folder, {})
        return frozenset(file.etag for file in self._blob_files(model) if known.get(file.etag) == file)

    def snapshot(self, repo: RepoFacts, commit: str, reader: ContentReader) -> SnapshotFacts:
        revision = self._models[repo.folder].revisions[commit]
        files = [_fact(path, file, reader) for path, file in sorted(revision.files.items())]
        undecided = revision.listing is None and (repo.partials or repo.held_locks)
        others = self._models[repo.folder].revisions.values() if undecided else ()
        elsewhere = frozenset(row.blob for other in others for row in other.listing or ())
        return SnapshotFacts(commit, tuple(files), revision.listing, elsewhere)

    def note_damage(self, folder: str, etag: str, *, is_damaged: bool) -> None:
        """What somebody has found out by the hash of a blob; holds as long as the blob is the same."""
        known = self._damaged.setdefault(folder, {})
        known.pop(etag, None)
        if is_damaged:
            known |= {file.etag: file for file in self._blob_files(self._models[folder]) if file.etag == etag}

    def held_locks(self, folder: str) -> frozenset[str]:
        model = self._models.get(folder)
        return model.held_locks if model else frozenset()

    def settle(self) -> None:
        """Memory has nothing to keep."""

    def location(self, folder: str, commit: str) -> str:
        return f"memory:{folder}/{commit}"

    def freed_bytes(self, removal: Removal) -> int:
        model = self._models[removal.folder]
        files = {file.etag: file for file in self._blob_files(model)}
        chosen = [file for etag, file in files.items() if removal.whole_model or etag in removal.blobs]
        own = sum(len(file.content) for file in chosen if file.placement is Placement.BLOB)
        shared = sum(len(file.content) for file in chosen if self._frees_payload(model, file))
        commits = tuple(model.revisions) if removal.whole_model else removal.commits
        refs = model.refs.keys() if removal.whole_model else removal.refs
        beside = sum(len(model.revisions[commit].plain_content) for commit in commits) + sum(
            len(model.refs[ref]) for ref in refs
        )
        return own + shared + beside + (_leftover_bytes(model) if removal.whole_model else 0)

    def remove(self, removal: Removal) -> None:
        if removal.folder not in self._models:
            raise ModelNotFound(f"{removal.folder} is not there")
        if removal.whole_model:
            del self._models[removal.folder]
            return
        model = self._models[removal.folder]
        gone = set(removal.blobs)
        kept = {file.etag: file for file in self._blob_files(model) if file.etag not in gone}
        self._loose_blobs[removal.folder] = kept
        self._models[removal.folder] = replace(
            model,
            refs={ref: commit for ref, commit in model.refs.items() if ref not in removal.refs},
            revisions={
                commit: revision for commit, revision in model.revisions.items() if commit not in removal.commits
            },
        )

    def record_listing(self, folder: str, commit: str, files: Iterable[SourceFile]) -> None:
        model = self._models.get(folder)
        revision = model.revisions.get(commit) if model else None
        if model and revision and revision.listing is None:
            listed = replace(revision, listing=_listing(files))
            self._models[folder] = replace(model, revisions={**model.revisions, commit: listed})

    def missing_bytes(self, folder: str, commit: str, files: Iterable[SourceFile]) -> int:  # noqa: ARG002
        there = self._sizes(folder)
        return sum(
            file.size for file in {file.etag: file for file in files}.values() if there.get(file.etag) != file.size
        )

    def free_bytes(self) -> int:
        return self._free_bytes

    def install(self, delivery: Delivery, watch: Watch) -> int:
        model = self._models.get(delivery.folder) or StoredModel(delivery.folder, {}, {}, modified=self._installed_at)
        there = {file.etag: file.content for file in self._blob_files(model) if file.placement in _WHOLE}
        fetched = 0
        contents: dict[str, bytes] = {}
        for file in delivery.files:
            content = there.get(file.etag)
            if content is None:
                content = b"".join(delivery.content.read(file, 0, file.size))
                fetched += len(content)
                if blob_name(content, lfs=file.is_lfs) != file.etag:
                    raise DownloadFailed(f"{file.path} arrived damaged twice")
            watch(Checked(file.path, file.etag not in there))
            contents[file.path] = there[file.etag] = content
        before = model.revisions.get(delivery.commit)
        revision = StoredRevision(
            dict(before.files if before else {})
            | {file.path: StoredFile(contents[file.path], file.is_lfs) for file in delivery.files},
            self._installed_at,
            _listing(delivery.listing),
        )
        refs = {**model.refs, delivery.ref: delivery.commit} if delivery.ref else model.refs
        self._models[delivery.folder] = replace(
            model, revisions={**model.revisions, delivery.commit: revision}, refs=refs
        )
        return fetched

    def stored(self) -> tuple[StoredModel, ...]:
        """All models as they are now, by folder."""
        return tuple(self._models[folder] for folder in self.folders())

    def put(self, folder: str, model: StoredModel | None) -> None:
        """Replace a model, or (None) take it away."""
        if model is None:
            self._models.pop(folder, None)
        else:
            self._models[folder] = model

    def _sizes(self, folder: str) -> dict[str, int]:
        model = self._models.get(folder)
        return {file.etag: len(file.content) for file in self._blob_files(model)} if model else {}

    def _blob_files(self, model: StoredModel) -> Iterator[StoredFile]:
        yield from self._loose_blobs.get(model.folder, {}).values()
        for revision in model.revisions.values():
            yield from (file for file in revision.files.values() if file.placement in _IN_BLOBS)

    def _frees_payload(self, model: StoredModel, file: StoredFile) -> bool:
        others = (other for other in self._models.values() if other.folder != model.folder)
        users = {stored.etag for other in others for stored in self._blob_files(other)}
        return file.placement is Placement.SHARED and file.etag not in users


def _listing(files: Iterable[SourceFile]) -> tuple[ListedFile, ...]:
    return tuple(ListedFile(file.path, file.size, file.etag) for file in sorted(files, key=lambda file: file.path))


def _leftover_bytes(model: StoredModel) -> int:
    return sum(size for _, size in model.partials) + sum(len(extra) for extra in model.extra.values())


def _blob(file: StoredFile, used: float) -> BlobFact:
    state = _STATES[file.placement]
    if state is not LinkState.FILE:
        return BlobFact(0, state)
    return BlobFact(len(file.content), state, file.payload if file.placement is Placement.SHARED else None, used)


def _fact(path: str, file: StoredFile, reader: ContentReader) -> FileFact:
    state = _STATES[file.placement]
    blob = file.etag if file.placement in _LINKED else None
    if state is not LinkState.FILE:
        return FileFact(path, state, blob=blob)
    size = len(file.content)
    reading = reader.probe(path, size) if size else None
    if reading is None:
        return FileFact(path, state, size, blob)
    if isinstance(reading, Head):
        head, tail = file.content[: reading.length], b""
    elif isinstance(reading, Ends):
        head, tail = file.content[: reading.length], file.content[-reading.length :]
    else:
        length = min(int.from_bytes(file.content[:8], "little"), reading.limit)
        head, tail = file.content[: 8 + length], b""
    return FileFact(path, state, size, blob, reader.digest(path, size, head, tail))
