"""`rm`: plan a deletion, show it, carry it out. A reference names one model, one revision, or, as a glob, many."""

from fnmatch import fnmatchcase

from mlxk2.domain import plans
from mlxk2.domain.inspection import Inspector, Located
from mlxk2.domain.names import parse_reference, short_name
from mlxk2.domain.plans import RemovalPlan
from mlxk2.ports.cache import READ_NOTHING, LinkState, ModelCache, RepoFacts
from mlxk2.ports.errors import AccessProblem, LocksPresent, ModelNotFound


class RemoveModel:
    def __init__(self, cache: ModelCache, inspector: Inspector) -> None:
        self._cache = cache
        self._inspector = inspector

    def matches(self, reference: str) -> list[str] | None:
        """Names that a glob means; None when the reference is no glob, or the exact name of a model.

        Raises ModelNotFound when a glob means nothing.
        """
        parse_reference(reference)
        names = list(self._inspector.names())
        if reference in names or not any(char in reference for char in "*?["):
            return None
        found = [name for name in names if fnmatchcase(name, reference) or fnmatchcase(short_name(name), reference)]
        if not found:
            raise ModelNotFound(
                f"No model in the cache matches '{reference}'; see what is there with: mlxk2 list --all"
            )
        return found

    def plan(self, reference: str) -> RemovalPlan:
        """What deleting this model or revision takes away. Raises as `show` does."""
        parsed = parse_reference(reference)
        return self._plan(self._inspector.locate(parsed), one_revision=parsed.revision is not None)

    def plan_named(self, name: str) -> RemovalPlan:
        """The plan for a whole model by its exact name, however odd that is."""
        folder = self._inspector.names().get(name)
        if folder is None:
            raise _gone(name)
        return self._plan(self._inspector.open(name, folder), one_revision=False)

    def check_locks(self, plan: RemovalPlan) -> None:
        """Raises LocksPresent when another process is downloading the model."""
        if plan.held_locks:
            count = f"{len(plan.held_locks)} lock{'s' if len(plan.held_locks) > 1 else ''}"
            raise LocksPresent(
                f"'{plan.name}' is in use: another process holds {count} of it;"
                " wait for its download to end, or delete anyway with --force",
                model=plan.name,
                lock_files=plan.held_locks,
            )

    def execute(self, plan: RemovalPlan) -> None:
        """Raises ModelNotFound when another program was faster, and what `ModelCache.remove` raises."""
        try:
            self._cache.remove(plan.removal)
        except ModelNotFound as error:
            raise _gone(plan.name) from error

    def _plan(self, located: Located, *, one_revision: bool) -> RemovalPlan:
        repo = located.repo._replace(held_locks=self._cache.held_locks(located.repo.folder))
        if repo.is_link:
            raise AccessProblem(
                f"The folder of '{located.name}' is a link to a place outside the cache; remove the link yourself"
            )
        if one_revision and located.commit is not None and len(repo.snapshots) > 1:
            links = {entry.commit: self._links(located.name, repo, entry.commit) for entry in repo.snapshots}
            removal = plans.one_revision(repo, located.commit, links)
        else:
            removal = plans.whole_model(repo)
        return plans.plan_of(located.name, repo, removal._replace(frees=self._cache.freed_bytes(removal)))

    def _links(self, name: str, repo: RepoFacts, commit: str) -> frozenset[str]:
        """Blobs that a revision uses. Raises AccessProblem when it cannot be read to the end."""
        files = self._cache.snapshot(repo, commit, READ_NOTHING).files
        if any(file.state is LinkState.UNREADABLE for file in files):
            raise AccessProblem(
                f"Revision {commit[:12]} of '{name}' cannot be read, so nobody can tell which files it shares;"
                " nothing was deleted, check its permissions"
            )
        return frozenset(file.blob for file in files if file.blob)


def _gone(name: str) -> ModelNotFound:
    return ModelNotFound(f"'{name}' was deleted by another program at this moment")
