"""`pull`: put a model into the cache. This version installs the demo model, which ships with the program."""

from dataclasses import dataclass
from enum import Enum

from mlxk2.domain.inspection import Inspector, Located
from mlxk2.domain.names import DEMO_NAME, folder_of, parse_reference
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.sources import ModelSource


class PullStatus(Enum):
    SUCCESS = "success"
    ALREADY_EXISTS = "already_exists"


@dataclass(frozen=True, slots=True)
class PullResult:
    """`written` counts the bytes that had to be written."""

    name: str
    commit: str
    status: PullStatus
    written: int


class PullModel:
    def __init__(self, cache: ModelCache, bundled: ModelSource, inspector: Inspector) -> None:
        self._cache = cache
        self._bundled = bundled
        self._inspector = inspector

    def __call__(self, reference: str) -> PullResult:
        """Never fuzzy. Every blob is hashed: a whole model is left as it is, a damaged one gets its bad files anew."""
        wanted = parse_reference(reference)
        if wanted.name != DEMO_NAME:
            raise OperationError(
                f"This version installs only the demo model (mlxk2 pull demo); download '{wanted.name}' with:"
                f" hf download {wanted.name}"
            )
        model = self._bundled.fetch()
        if wanted.revision and not model.commit.startswith(wanted.revision):
            raise ValidationError(
                f"The demo model of this version has revision {model.commit[:12]}, not {wanted.revision}"
            )
        folder = folder_of(model.name)
        was_healthy = folder in self._cache.folders() and not self._reason(model.name, folder, model.commit)
        written = self._cache.install(folder, model.commit, model.files)
        reason = self._reason(model.name, folder, model.commit)
        if reason:
            raise OperationError(
                f"'{model.name}' is installed, but something else in its folder is damaged: {reason};"
                " remove it (mlxk2 rm demo --force) and pull again"
            )
        status = PullStatus.ALREADY_EXISTS if was_healthy and not written else PullStatus.SUCCESS
        return PullResult(model.name, model.commit, status, written)

    def _reason(self, name: str, folder: str, commit: str) -> str | None:
        """Why this revision is not the healthy one that `main` names; None when it is."""
        repo = self._cache.repo(folder)
        if repo.refs.get("main") != commit or commit not in {entry.commit for entry in repo.snapshots}:
            return repo.problem or "refs/main names another revision"
        return self._inspector.judge(Located(name, repo, commit))[0].health.reason
