"""`du`: what takes the space in the cache, by model and revision."""

from mlxk2.domain.names import name_of
from mlxk2.domain.resolution import matching_names
from mlxk2.domain.usage import Disk, ModelUsage, Usage, model_usage, whole_usage
from mlxk2.ports.cache import READ_NOTHING, ModelCache, RepoFacts
from mlxk2.ports.disk import CacheDisk


class DiskUsage:
    def __init__(self, cache: ModelCache, disk: CacheDisk) -> None:
        self._cache = cache
        self._disk = disk

    def place(self) -> str:
        """Where the models are looked for."""
        return self._cache.place()

    def __call__(self, pattern: str | None = None) -> Usage:
        """All models count for what is shared, those whose name contains the pattern are told of.

        Raises AccessProblem when the cache folder itself cannot be read.
        """
        folders = self._cache.folders()
        unread: list[str] = []
        disk = Disk(self._disk.files(unread.append))
        repos = map(self._cache.repo, folders)
        models = {repo.folder: self._of(repo, disk) for repo in repos if not repo.is_gone}
        chosen = [folder for folder in models if matching_names(pattern, [name_of(folder)])]
        return whole_usage(models, chosen, disk, self._cache.free_bytes(), unread)

    def _of(self, repo: RepoFacts, disk: Disk) -> ModelUsage:
        snapshots = [self._cache.snapshot(repo, entry.commit, READ_NOTHING) for entry in repo.snapshots]
        return model_usage(repo, snapshots, disk)
