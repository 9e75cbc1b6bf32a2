"""Which facts of a cache are kept for next time, and which of them still hold.

What is in the index is believed when every file and folder that was read then still looks the same (`witnesses.py`);
locks are tried every time. Only what is sound and had settled is kept: a link of another form, a blob that cannot be
reached, or a download under way may change without a trace in the model's folder.
"""

import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.index import Index
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.locks import folder_of, is_held, lock_names
from mlxk2.adapters.hfcache.record import (
    RepoRecord,
    SnapshotRecord,
    decode,
    encode,
    record_snapshot,
    repo_facts,
    snapshot_facts,
)
from mlxk2.adapters.hfcache.repo import read_repo
from mlxk2.adapters.hfcache.snapshot import Trail, read_snapshot
from mlxk2.adapters.hfcache.witnesses import look, mark, newest
from mlxk2.ports.cache import ContentReader, FileFact, LinkState, RepoFacts, SnapshotFacts


class _Latest(NamedTuple):
    """The facts of a model that were given last, and their record; or when reading them began (ns since the epoch)."""

    facts: RepoFacts
    record: RepoRecord | None
    started: int


class Memory:
    """Reads the models of one cache, or remembers those that have not changed for `settled` seconds or more."""

    def __init__(self, root: str, memory_dir: str, listings: Listings, settled: float) -> None:
        self._root = root
        self._listings = listings
        self._index = Index(memory_dir, root)
        self._settled = int(settled * 1e9)
        self._latest: _Latest | None = None

    def repo(self, folder: str, *, shared: bool) -> RepoFacts:
        started = time.time_ns()
        line = self._index.facts(folder)
        record = decode(line) if line else None
        facts = self._known_repo(folder, record, shared=shared) if record else None
        if facts is None:
            facts, record = read_repo(self._root, folder, shared=shared), None
        self._latest = _Latest(facts, record, started)
        return facts

    def snapshot(self, repo: RepoFacts, commit: str, reader: ContentReader) -> SnapshotFacts:
        """What is asked right after the facts of its model can be remembered."""
        latest = self._latest
        if latest is None or latest.facts is not repo or reader.edition is None:
            return read_snapshot(self._root, repo, commit, reader, self._listings)
        known = self._known_snapshot(latest.record, repo.folder, commit, reader) if latest.record else None
        if known:
            return known
        trail = Trail()
        facts = read_snapshot(self._root, repo, commit, reader, self._listings, trail)
        self._keep(latest, facts, trail, reader.edition)
        return facts

    def save(self, folders: Iterable[str]) -> None:
        """`folders` are the models that are there."""
        self._index.save(folders)

    def _known_repo(self, folder: str, record: RepoRecord, *, shared: bool) -> RepoFacts | None:
        """Facts that still hold."""
        try:
            return self._unchanged(folder, record, shared=shared)
        except (ValueError, TypeError, AttributeError):  # a line of another shape
            return None

    def _unchanged(self, folder: str, record: RepoRecord, *, shared: bool) -> RepoFacts | None:
        locks = folder_of(self._root, folder)
        if any(is_held(f"{locks}/{name}.lock") for name in record.locks):  # first: a download that ends is still one
            return None
        if not shared and any(payload for _, payload in record.blobs.values()):
            return None
        blobs = look(self._blobs(folder, ((name, payload) for name, (_, payload) in record.blobs.items())))
        commits = (commit for commit, _ in record.snapshots)
        sight = look(self._places(folder, record.refs, record.ref_folders, commits))
        if mark(sight + blobs) != record.mark:
            return None
        return repo_facts(folder, record, (blob.st_atime for blob in blobs if blob))

    def _known_snapshot(
        self, record: RepoRecord, folder: str, commit: str, reader: ContentReader
    ) -> SnapshotFacts | None:
        """The same of a snapshot."""
        try:
            known = SnapshotRecord(*record.revisions[commit])
            if known.edition != reader.edition:
                return None
            found = snapshot_facts(commit, known)
            base = self._snapshot(folder, commit)
            sight = look(os.path.join(base, place) for place in known.places)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):  # unknown, or of another shape
            return None
        return found if mark(sight) == known.mark else None

    def _keep(self, latest: _Latest, facts: SnapshotFacts, trail: Trail, edition: str) -> None:
        repo = latest.facts
        before = latest.started - self._settled
        record = latest.record or self._record(repo, before)
        is_sound = not trail.has_odd_links and all(map(_is_sound, facts.files))
        revision = self._record_snapshot(repo.folder, facts, trail, edition, before) if record and is_sound else None
        if record is None or revision is None:
            self._index.put(repo.folder, None)
            return
        record.revisions[facts.commit] = list(revision)
        self._index.put(repo.folder, encode(record))

    def _record(self, repo: RepoFacts, before: int) -> RepoRecord | None:
        if repo.problem or repo.is_link or repo.partials or repo.held_locks:
            return None
        if any(blob.state is not LinkState.FILE for blob in repo.blobs.values()):
            return None
        ref_folders = _folders_in(os.path.join(self._root, repo.folder, layout.REFS))
        names = [name for name in lock_names(folder_of(self._root, repo.folder)) if name not in repo.blobs]
        commits = (entry.commit for entry in repo.snapshots)
        sight = look(self._places(repo.folder, repo.refs, ref_folders, commits))
        sight += look(self._blobs(repo.folder, ((name, blob.payload) for name, blob in repo.blobs.items())))
        if newest(sight) >= before:
            return None
        blobs = {name: [blob.size, blob.payload] for name, blob in repo.blobs.items()}
        snapshots = [list(entry) for entry in repo.snapshots]
        return RepoRecord(dict(repo.refs), ref_folders, snapshots, blobs, repo.modified, names, mark(sight), {})

    def _record_snapshot(
        self, folder: str, facts: SnapshotFacts, trail: Trail, edition: str, before: int
    ) -> SnapshotRecord | None:
        base = self._snapshot(folder, facts.commit)
        plain = (file.path for file in facts.files if file.blob is None)
        places = [*trail.folders, *plain, *self._listings.places(folder, facts)]
        sight = look(os.path.join(base, place) for place in places)
        return record_snapshot(facts, edition, places, mark(sight)) if newest(sight) < before else None

    def _places(
        self, folder: str, refs: Iterable[str], ref_folders: Iterable[str], commits: Iterable[str]
    ) -> Iterator[str]:
        """All that the facts of a model tell of, but its blobs."""
        model = f"{self._root}/{folder}"
        yield folder_of(self._root, folder)
        yield model
        for part in (layout.BLOBS, layout.SNAPSHOTS, layout.REFS):
            yield f"{model}/{part}"
        for name in (*refs, *ref_folders):
            yield f"{model}/{layout.REFS}/{name}"
        for commit in commits:
            yield f"{model}/{layout.SNAPSHOTS}/{commit}"

    def _blobs(self, folder: str, blobs: Iterable[tuple[str, str | None]]) -> Iterator[str]:
        """Where the bytes of each blob are."""
        own = f"{self._root}/{folder}/{layout.BLOBS}"
        for name, payload in blobs:
            yield f"{self._root}/{layout.BLOBS}/{payload[:2]}/{payload}" if payload else f"{own}/{name}"

    def _snapshot(self, folder: str, commit: str) -> str:
        return f"{self._root}/{folder}/{layout.SNAPSHOTS}/{commit}"


def _folders_in(base: str) -> list[str]:
    """Folders at any depth, relative to the base."""
    found = [""]
    for below in found:  # grows while it is walked
        try:
            with os.scandir(os.path.join(base, below)) as scan:
                found += [os.path.join(below, entry.name) for entry in scan if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return found[1:]


def _is_sound(file: FileFact) -> bool:
    """A file, or a link to a blob that is not there."""
    return file.state is LinkState.FILE or (file.state is LinkState.DANGLING and file.blob is not None)
