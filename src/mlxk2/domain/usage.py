"""What takes the space in a cache, by model and revision. Rules only: the files and their links come as facts.

Bytes that several names share count once in every sum. A model's own bytes are those that go with it: nothing else
uses them, no other model, no data set, and no further name of the file, in the cache or outside. A revision's own bytes
are those of the model's own that no other of its revisions uses.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mlxk2.domain.names import FOLDER_PREFIX, name_of
from mlxk2.ports.cache import LinkState, RepoFacts, SnapshotFacts
from mlxk2.ports.disk import BLOBS, SHARED_STORE, DiskFile

_Bytes = set[Hashable]
"""Contents by their identity."""


class RevisionUsage(NamedTuple):
    """`size` of its files, and how many of these bytes are its own; `refs` that name it, sorted."""

    commit: str
    refs: tuple[str, ...]
    size: int
    own: int

    @property
    def shared(self) -> int:
        """Bytes that other revisions or other models use, too."""
        return self.size - self.own


class ModelUsage(NamedTuple):
    """`size` is of everything in the model's folder, and of what its blobs link to.

    `partial` are bytes of unfinished downloads, `unused` those of blobs that no revision uses. `shared_with` names
    models of this cache, sorted. `problem` says in words what could not be read, so that the numbers are too small.
    `elsewhere`: the folder is a link to a place outside of the cache, of which nothing is counted.
    """

    name: str
    size: int
    own: int
    partial: int = 0
    unused: int = 0
    revisions: tuple[RevisionUsage, ...] = ()
    shared_with: tuple[str, ...] = ()
    problem: str | None = None
    elsewhere: bool = False

    @property
    def shared(self) -> int:
        """Bytes that stay when the model goes."""
        return self.size - self.own


class Usage(NamedTuple):
    """`models` from the largest down; `of_them` are their bytes together, `of_models` those of all models.

    `total` are the bytes of everything in the cache, `models_in_cache` how many models there are in it, and `unread`
    the folders of it that could not be read to the end, sorted.
    """

    models: tuple[ModelUsage, ...]
    models_in_cache: int
    of_them: int
    of_models: int
    total: int
    free: int
    unread: tuple[str, ...] = ()

    @property
    def others(self) -> int:
        """Bytes that belong to no model: data sets, spaces, remains of deletions."""
        return self.total - self.of_models


class Disk:
    """The files of a cache, by their place, and who uses the same bytes."""

    def __init__(self, files: Iterable[DiskFile]) -> None:
        self._sizes: dict[Hashable, int] = {}
        self._files: dict[str, dict[str, DiskFile]] = {}
        self._users: dict[Hashable, tuple[str, ...]] = {}
        self._further_names: dict[tuple[Hashable, str], int] = {}
        for file in files:
            self._sizes[file.identity] = file.size
            self._files.setdefault(file.folder, {})[file.path] = file
            users = self._users.get(file.identity, ())
            if file.folder not in users:
                self._users[file.identity] = (*users, file.folder)
            elif not file.is_link:
                place = (file.identity, file.folder)
                self._further_names[place] = self._further_names.get(place, 0) + 1

    def files(self, folder: str) -> Mapping[str, DiskFile]:
        """What is in a folder of the cache, by path."""
        return self._files.get(folder, {})

    def contents(self, folder: str) -> _Bytes:
        return {file.identity for file in self.files(folder).values()}

    def size(self, contents: Iterable[Hashable] | None = None) -> int:
        """Bytes of these contents, or of everything."""
        return sum(self._sizes.values() if contents is None else (self._sizes[each] for each in contents))

    def users(self, contents: Iterable[Hashable], folder: str) -> set[str]:
        """Other folders that use some of the contents."""
        found = set[str]().union(*(self._users[each] for each in contents))
        return found - {folder, SHARED_STORE}

    def shared(self, folder: str) -> _Bytes:
        """Those of a folder's contents that something outside of it uses, too."""
        files = self.files(folder).values()
        return {file.identity for file in files if self._is_used_outside(file)}

    def _is_used_outside(self, file: DiskFile) -> bool:
        home = SHARED_STORE if file.is_link else file.folder
        known = 1 + self._further_names.get((file.identity, home), 0)
        return file.names > known or bool(self.users([file.identity], file.folder))


def model_usage(repo: RepoFacts, snapshots: Sequence[SnapshotFacts], disk: Disk) -> ModelUsage:
    """The model of a folder, with all of its snapshots."""
    files = disk.files(repo.folder)
    contents, shared = disk.contents(repo.folder), disk.shared(repo.folder)
    used = {snapshot.commit: _contents_of(snapshot, files) for snapshot in snapshots}
    partial = {file.identity for file in files.values() if file.is_partial}
    loose = _blobs(files) - partial - set().union(*used.values())
    if repo.held_locks:  # what a download has brought gets its snapshot last
        partial, loose = partial | loose, set()
    problem = _problem(repo, snapshots)
    return ModelUsage(
        name=name_of(repo.folder),
        size=disk.size(contents),
        own=disk.size(contents - shared),
        partial=disk.size(partial),
        unused=0 if problem else disk.size(loose),
        revisions=_revisions(repo, used, shared, disk),
        shared_with=_models(disk.users(shared, repo.folder)),
        problem=problem,
        elsewhere=repo.is_link,
    )


def whole_usage(
    all_models: Mapping[str, ModelUsage], chosen: Iterable[str], disk: Disk, free: int, unread: Iterable[str] = ()
) -> Usage:
    """The sums. Models are by folder; `chosen` are those that are to be shown."""
    shown = list(chosen)
    models = sorted((all_models[folder] for folder in shown), key=lambda model: (-model.size, model.name))
    return Usage(
        models=tuple(models),
        models_in_cache=len(all_models),
        of_them=disk.size(_together(shown, disk)),
        of_models=disk.size(_together(all_models, disk)),
        total=disk.size(),
        free=free,
        unread=tuple(sorted(set(unread))),
    )


def _together(folders: Iterable[str], disk: Disk) -> _Bytes:
    return set().union(*(disk.contents(folder) for folder in folders))


def _contents_of(snapshot: SnapshotFacts, files: Mapping[str, DiskFile]) -> _Bytes:
    places = (
        f"{BLOBS}/{file.blob}" if file.blob else f"snapshots/{snapshot.commit}/{file.path}"
        for file in snapshot.files
        if file.state is LinkState.FILE
    )
    return {files[place].identity for place in places if place in files}


def _blobs(files: Mapping[str, DiskFile]) -> _Bytes:
    return {file.identity for path, file in files.items() if path.startswith(f"{BLOBS}/")}


def _revisions(repo: RepoFacts, used: Mapping[str, _Bytes], shared: _Bytes, disk: Disk) -> tuple[RevisionUsage, ...]:
    found = []
    for commit, contents in used.items():
        others = set().union(*(of_other for other, of_other in used.items() if other != commit))
        refs = tuple(sorted(ref for ref, target in repo.refs.items() if target == commit))
        found.append(RevisionUsage(commit, refs, disk.size(contents), disk.size(contents - others - shared)))
    return tuple(sorted(found, key=lambda revision: (-revision.size, revision.commit)))


def _models(folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name_of(folder) for folder in folders if folder.startswith(FOLDER_PREFIX)))


def _problem(repo: RepoFacts, snapshots: Iterable[SnapshotFacts]) -> str | None:
    if repo.problem:
        return repo.problem
    for snapshot in snapshots:
        if any(file.state is LinkState.UNREADABLE for file in snapshot.files):
            return f"revision {snapshot.commit[:12]} cannot be read to the end"
    return None
