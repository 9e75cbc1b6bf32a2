"""`pull`: bring a model into the cache, from the Hub or, for the demo, from this package.

One preflight call tells what there is; nothing is written before it is known that the repo may be read and that the
disk has room. What is here already is kept when its hash is right.
"""

from dataclasses import dataclass, field
from enum import Enum

from mlxk2.domain.demo import fetch_demo
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.lookup import look_up
from mlxk2.domain.names import DEMO_NAME, MAIN, SHORTEST_HASH, HubReference, folder_of, parse_hub_reference
from mlxk2.domain.resolution import choose_commit
from mlxk2.domain.selection import Wanted, choose
from mlxk2.domain.sizes import size
from mlxk2.ports.cache import ModelCache, RepoFacts
from mlxk2.ports.errors import DiskFull, NetworkProblem, OperationError
from mlxk2.ports.hub import Hub, Notice, Transport
from mlxk2.ports.sources import ModelSource, SourceFile, SourceModel
from mlxk2.ports.transfer import Checked, Delivery, Event, Watch

_THE_FOLDER_ITSELF = "."
"""Stands among a snapshot's files for a folder that cannot be read."""


class PullStatus(Enum):
    SUCCESS = "success"
    ALREADY_EXISTS = "already_exists"


@dataclass(frozen=True, slots=True)
class PullOptions:
    """`repair` takes every file's hash even when nothing looks wrong."""

    revision: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    repair: bool = False
    transport: Transport = Transport.HTTP


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a pull would do: `files` of the commit, of which `missing` bytes are not on the disk yet.

    `is_done` tells that the cache looks as it should; `verifies` that every file is hashed all the same.
    """

    reference: HubReference
    model: SourceModel
    files: tuple[SourceFile, ...]
    missing: int
    previous: str | None
    is_done: bool
    verifies: bool

    @property
    def has_work(self) -> bool:
        return self.verifies or not self.is_done

    @property
    def total(self) -> int:
        return sum(file.size for file in {file.etag: file for file in self.files}.values())


@dataclass(frozen=True, slots=True)
class PullResult:
    """`fetched` are the bytes that came, `new` the files that they made, `verified` the files whose hash was taken.

    `problem` is what health still says of the model, `cannot_run` why mlx-lm could not run it; None when all is well.
    """

    name: str
    commit: str
    status: PullStatus
    fetched: int
    new: int
    verified: int
    previous: str | None
    problem: str | None
    cannot_run: str | None


@dataclass(frozen=True, slots=True)
class UpdateCheck:
    """`cached` is the commit in the cache (None: not there), `on_hub` the one that a pull would bring."""

    name: str
    cached: str | None
    on_hub: str

    @property
    def available(self) -> bool:
        return self.cached != self.on_hub


class PullModel:
    def __init__(self, cache: ModelCache, bundled: ModelSource, hub: Hub, inspector: Inspector) -> None:
        self._cache = cache
        self._bundled = bundled
        self._hub = hub
        self._inspector = inspector

    def prepare(self, text: str, options: PullOptions, notice: Notice) -> Preflight:
        """Never fuzzy. Raises what the Hub raises, ValidationError, and DiskFull with both numbers."""
        reference, model = self._resolve(text, options.revision, options.transport, notice)
        files = choose(model.name, model.files, options.wanted)
        folder = folder_of(model.name)
        repo = self._repo(folder)
        done = repo is not None and self._is_done(repo, reference, model, files)
        verifies = options.repair or model.name == DEMO_NAME  # which takes no time
        missing = 0 if done else self._cache.missing_bytes(folder, model.commit, files)
        self._check_disk(missing, model.name)
        previous = repo.refs.get(reference.revision) if repo else None
        return Preflight(
            reference, model, files, missing, previous if previous != model.commit else None, done, verifies
        )

    def execute(self, preflight: Preflight, watch: Watch) -> PullResult:
        """Fetch what is missing and make it the revision's snapshot. Raises what `ModelCache.install` raises."""
        model, files = preflight.model, preflight.files
        folder = folder_of(model.name)
        fetched, new = 0, 0

        def count(event: Event) -> None:
            nonlocal new
            new += isinstance(event, Checked) and event.fetched
            watch(event)

        if preflight.has_work:
            ref = None if preflight.reference.is_commit else preflight.reference.revision
            delivery = Delivery(folder, model.commit, ref, files, model.files, model.content)
            fetched = self._cache.install(delivery, count)
        summary = self._judged(model)
        status = PullStatus.ALREADY_EXISTS if preflight.is_done and not fetched else PullStatus.SUCCESS
        return PullResult(
            name=model.name,
            commit=model.commit,
            status=status,
            fetched=fetched,
            new=new,
            verified=len(files) if preflight.has_work else 0,
            previous=preflight.previous,
            problem=summary.health.reason,
            cannot_run=summary.compatibility.reason,
        )

    def check_update(self, text: str, revision: str | None, notice: Notice) -> UpdateCheck:
        """Whether a pull would bring another commit; downloads nothing."""
        reference, model = self._resolve(text, revision, Transport.HTTP, notice)
        repo = self._repo(folder_of(model.name))
        commits = {entry.commit for entry in repo.snapshots} if repo else set()
        named = repo.refs.get(reference.revision) if repo else None
        if named not in commits and repo and not reference.pinned:
            named = choose_commit(repo)
        if reference.is_commit:
            named = model.commit
        return UpdateCheck(model.name, named if named in commits else None, model.commit)

    def _resolve(
        self, text: str, revision: str | None, transport: Transport, notice: Notice
    ) -> tuple[HubReference, SourceModel]:
        reference = parse_hub_reference(text, revision)
        if reference.name == DEMO_NAME:
            return reference._replace(revision=MAIN), fetch_demo(self._bundled, reference)
        reference = self._with_full_commit(reference)
        try:
            model = look_up(self._hub, self._cache, reference.name, reference.revision, notice)
            if model.gated:
                self._hub.check_access(reference.name, notice)
        except NetworkProblem as error:
            raise self._with_what_is_cached(error, reference) from error
        content = self._hub.content(model, transport, notice)
        return reference, SourceModel(model.name, model.commit, model.files, content)

    def _with_full_commit(self, reference: HubReference) -> HubReference:
        """A short hash stands for the cached commit that it begins, as in every other command."""
        if not reference.pinned or reference.is_commit or len(reference.revision) < SHORTEST_HASH:
            return reference
        repo = self._repo(folder_of(reference.name))
        wanted = reference.revision.lower()
        found = [entry.commit for entry in repo.snapshots if entry.commit.startswith(wanted)] if repo else []
        return reference._replace(revision=found[0]) if len(found) == 1 else reference

    def _with_what_is_cached(self, error: NetworkProblem, reference: HubReference) -> NetworkProblem:
        """A model that can be used without the Hub is good news worth telling."""
        repo = self._repo(folder_of(reference.name))
        if repo is None:
            return error
        located = self._inspector.open(reference.name, repo.folder)
        if reference.is_commit:
            there = reference.revision in {entry.commit for entry in repo.snapshots}
            located = located._replace(commit=reference.revision if there else None)
        elif reference.pinned:
            located = located._replace(commit=None)
        if located.commit and self._inspector.judge(located)[0].health.healthy:
            error.message += f". Revision {located.commit[:12]} of it is in the cache and healthy, and can be used"
        return error

    def _check_disk(self, missing: int, name: str) -> None:
        free = self._cache.free_bytes()
        if missing > free:
            raise DiskFull(
                f"'{name}' needs {size(missing)} more on the disk of the cache, which has {size(free)} left; free"
                " some space (mlxk2 rm), or move the cache with HF_HUB_CACHE"
            )

    def _is_done(
        self, repo: RepoFacts, reference: HubReference, model: SourceModel, files: tuple[SourceFile, ...]
    ) -> bool:
        """Whether a pull has nothing to do: this commit is here under its ref, healthy, with every file chosen."""
        named = reference.is_commit or repo.refs.get(reference.revision) == model.commit
        if not named or model.commit not in {entry.commit for entry in repo.snapshots}:
            return False
        summary, subject = self._inspector.judge(Located(model.name, repo, model.commit))
        if subject is None or not summary.health.healthy:
            return False
        there = subject.snapshot.files
        return all(file.path in there and there[file.path].size == file.size for file in files)

    def _judged(self, model: SourceModel) -> ModelSummary:
        """The verdicts on the installed commit. Raises OperationError when a file that is not of it may be why, and
        when somebody has deleted it already.
        """
        repo = self._cache.repo(folder_of(model.name))
        repo = repo._replace(held_locks=frozenset())  # of whoever has waited for this pull to end
        if model.commit not in {entry.commit for entry in repo.snapshots}:
            raise OperationError(
                f"'{model.name}' was deleted by another program as soon as it was here; run the same command again"
            )
        summary, subject = self._inspector.judge(Located(model.name, repo, model.commit))
        if summary.health.reason and subject is not None:
            known = {_THE_FOLDER_ITSELF, *(file.path for file in model.files)}
            strays = sorted(subject.snapshot.files.keys() - known)
            if strays:
                raise OperationError(
                    f"All files of '{model.name}' are here, but its folder also holds {strays[0]}, which is not of this"
                    f" commit, and health says: {summary.health.reason}; remove the model (mlxk2 rm) and pull again"
                )
        return summary

    def _repo(self, folder: str) -> RepoFacts | None:
        """Facts of the model's folder; None when there is none."""
        if folder not in self._cache.folders():
            return None
        return self._cache.repo(folder)
