"""Looking at one model: facts from the cache, verdicts from the rules, put together once for every command."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from mlxk2.domain.classify import Classification, Framework, ModelType, classify
from mlxk2.domain.compatibility import Compatibility, judge_runtime
from mlxk2.domain.contents import READER
from mlxk2.domain.health import IN_PROGRESS, INCOMPLETE, Health, judge, judge_missing
from mlxk2.domain.names import ModelReference, name_of
from mlxk2.domain.resolution import choose_commit, find_commit, matching_names, resolve_name
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.subject import Subject
from mlxk2.ports.cache import ModelCache, RepoFacts
from mlxk2.ports.errors import AccessProblem, ModelNotFound

if TYPE_CHECKING:
    from mlxk2.ports.engine import RuntimeCatalogue


class ModelSummary(NamedTuple):
    """One row of `list`. `size` in bytes of the chosen snapshot; times in seconds since the epoch (UTC).

    `used` is when the model's files were last read; 0 when that is not known.
    """

    name: str
    commit: str | None
    size: int
    modified: float
    classification: Classification
    health: Health
    compatibility: Compatibility
    used: float = 0.0

    @property
    def reason(self) -> str | None:
        """The first problem: integrity before runtime."""
        return self.health.reason or self.compatibility.reason

    @property
    def is_downloading(self) -> bool:
        """Another process is bringing it at this moment."""
        return self.health.reason == IN_PROGRESS

    @property
    def is_unfinished(self) -> bool:
        """A download that goes on, or that was broken off before there was anything to classify."""
        return self.is_downloading or (self.commit is None and (self.health.reason or "").startswith(INCOMPLETE))


class Located(NamedTuple):
    """A reference resolved: the model's name and folder facts, and the snapshot's commit (None: it has none)."""

    name: str
    repo: RepoFacts
    commit: str | None


class Inspector:
    """Resolves references and judges snapshots; each verdict is made here and nowhere else."""

    def __init__(self, cache: ModelCache, runtime: "RuntimeCatalogue") -> None:
        self._cache = cache
        self._runtime = runtime

    def names(self) -> dict[str, str]:
        """Model name → folder, sorted by name. Two folders with one name (broken bytes) keep the first."""
        found: dict[str, str] = {}
        for folder in self._cache.folders():
            found.setdefault(name_of(folder), folder)
        return dict(sorted(found.items()))

    def locate(self, reference: ModelReference, among: Mapping[str, str] | None = None) -> Located:
        """Among all models, or those of `names()` that are given. Raises ModelNotFound or AmbiguousMatch."""
        names = self.names() if among is None else among
        name = resolve_name(reference, list(names))
        located = self.open(name, names[name])
        if located.repo.is_gone:
            raise ModelNotFound(f"'{name}' was deleted by another program at this moment")
        if reference.revision and located.repo.problem:
            raise AccessProblem(f"'{name}' cannot be looked into: {located.repo.problem}")
        if reference.revision:
            return located._replace(commit=find_commit(located.repo, name, reference.revision))
        return located

    def open(self, name: str, folder: str) -> Located:
        """The model in a folder, with the snapshot that stands for it."""
        repo = self._cache.repo(folder)
        return Located(name, repo, choose_commit(repo))

    def open_all(self, pattern: str | None) -> Iterator[Located]:
        """Every model whose name contains the pattern, sorted by name; none that others have deleted meanwhile."""
        names = self.names()
        opened = (self.open(name, names[name]) for name in matching_names(pattern, names))
        return (located for located in opened if not located.repo.is_gone)

    def judge_all(self, pattern: str | None) -> list[ModelSummary]:
        """The verdicts on all of these."""
        summaries = [self.judge(located)[0] for located in self.open_all(pattern)]
        self._cache.settle()
        return summaries

    def judge(self, located: Located) -> tuple[ModelSummary, Subject | None]:
        """Verdicts on one snapshot, and its parsed contents for whoever shows more of it."""
        repo = located.repo
        if located.commit is None:
            return _unjudged(located, judge_missing(repo)), None
        try:
            subject = Subject(located.name, Snapshot(repo, self._cache.snapshot(repo, located.commit, READER)))
            return self._verdicts(located, subject), subject
        except Exception as error:  # noqa: BLE001 - whatever is in one model, the others are still judged
            defect = f"could not be judged ({type(error).__name__}: {error}); please report this"
            return _unjudged(located, Health.of(defect)), None

    def _verdicts(self, located: Located, subject: Subject) -> ModelSummary:
        classification = classify(subject)
        return ModelSummary(
            located.name,
            located.commit,
            subject.snapshot.size,
            located.repo.modified,
            classification,
            judge(subject, classification),
            judge_runtime(subject, classification, self._runtime),
            located.repo.used,
        )


def _unjudged(located: Located, health: Health) -> ModelSummary:
    nothing = Classification(Framework.UNKNOWN, ModelType.UNKNOWN, ())
    unrunnable = Compatibility("no weights that mlx-lm could load")
    return ModelSummary(
        located.name, located.commit, 0, located.repo.modified, nothing, health, unrunnable, located.repo.used
    )
