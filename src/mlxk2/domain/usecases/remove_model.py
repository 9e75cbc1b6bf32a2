"""`rm`: plan a deletion, show it, carry it out. A reference names one model, one revision, or, as a glob, many."""

from fnmatch import fnmatchcase

from mlxk2.domain import plans
from mlxk2.domain.inspection import Inspector, Located
from mlxk2.domain.names import parse_reference
from mlxk2.domain.plans import RemovalPlan
from mlxk2.ports.cache import FileFact, ModelCache
from mlxk2.ports.errors import AccessProblem, LocksPresent, ModelNotFound


class RemoveModel:
    def __init__(self, cache: ModelCache, inspector: Inspector) -> None:
        self._cache = cache
        self._inspector = inspector

    def plan(self, reference: str) -> RemovalPlan:
        """What deleting this model or revision takes away. Raises as `show` does."""
        parsed = parse_reference(reference)
        return self._plan(self._inspector.locate(parsed), one_revision=parsed.revision is not None)

    def plan_glob(self, pattern: str) -> list[RemovalPlan]:
        """One plan for each model whose name (with or without `mlx-community/`) matches; raises when none does."""
        parse_reference(pattern)
        names = self._inspector.names()
        chosen = [name for name in names if _matches(name, pattern)]
        if not chosen:
            raise ModelNotFound(f"No model in the cache matches '{pattern}'; see what is there with: mlxk2 list --all")
        return [self._plan(self._inspector.open(name, names[name]), one_revision=False) for name in chosen]

    def execute(self, plan: RemovalPlan, *, override_locks: bool) -> None:
        """Raises LocksPresent when another process is downloading the model, unless told to go on."""
        if plan.held_locks and not override_locks:
            raise LocksPresent(
                f"'{plan.name}' is in use: another process holds {len(plan.held_locks)} of its locks;"
                " wait for the download to end, or delete anyway with --force",
                model=plan.name,
                lock_files=plan.held_locks,
            )
        self._cache.remove(plan.removal)

    def _plan(self, located: Located, *, one_revision: bool) -> RemovalPlan:
        repo = located.repo
        if repo.is_link:
            raise AccessProblem(
                f"The folder of '{located.name}' is a link to a place outside the cache; remove the link yourself"
            )
        if not one_revision or located.commit is None or len(repo.snapshots) == 1:
            return plans.whole_model(located.name, repo, self._cache.freed_bytes(repo.folder, None))
        links = {
            entry.commit: frozenset(file.blob for file in self._files(located, entry.commit) if file.blob)
            for entry in repo.snapshots
        }
        blobs = plans.blobs_of_one_revision(located.commit, links)
        frees = self._cache.freed_bytes(repo.folder, blobs)
        return plans.one_revision(located.name, repo, located.commit, blobs, frees)

    def _files(self, located: Located, commit: str) -> tuple[FileFact, ...]:
        return self._cache.snapshot(located.repo, commit, _read_nothing).files


def _read_nothing(path: str, size: int) -> None:
    """The probe of someone who only wants to know which files there are."""


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix("mlx-community/"), pattern)


def is_glob(reference: str) -> bool:
    return any(char in reference for char in "*?[")
