"""The `CacheDisk` port by what a cache itself tells of its models: blobs, partial files, plain files and refs."""

from collections.abc import Iterator

from mlxk2.ports.cache import READ_NOTHING, LinkState, ModelCache, RepoFacts
from mlxk2.ports.disk import BLOBS, SHARED_STORE, DiskFile, Missed


class MemoryDisk:
    """Every blob is a file of its own, unless it is one of the shared store."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache

    def files(self, missed: Missed) -> Iterator[DiskFile]:  # noqa: ARG002 - nothing is missed in memory
        payloads: dict[str, int] = {}
        for folder in self._cache.folders():
            repo = self._cache.repo(folder)
            for name, blob in repo.blobs.items():
                if blob.payload is None:
                    yield _file(folder, f"{BLOBS}/{name}", blob.size)
                else:
                    payloads[blob.payload] = blob.size
                    yield DiskFile(folder, f"{BLOBS}/{name}", blob.size, _place(blob.payload), is_link=True)
            yield from self._beside_blobs(repo)
        for payload, size in payloads.items():
            yield DiskFile(SHARED_STORE, _path(payload), size, _place(payload))

    def _beside_blobs(self, repo: RepoFacts) -> Iterator[DiskFile]:
        for number, part in enumerate(repo.partials):
            path = f"{BLOBS}/{part.etag}.{number:08x}.incomplete"
            yield _file(repo.folder, path, part.size)._replace(is_partial=True)
        for ref, commit in repo.refs.items():
            yield _file(repo.folder, f"refs/{ref}", len(commit))
        for entry in repo.snapshots:
            for file in self._cache.snapshot(repo, entry.commit, READ_NOTHING).files:
                if file.blob is None and file.state is LinkState.FILE:
                    yield _file(repo.folder, f"snapshots/{entry.commit}/{file.path}", file.size)


def _file(folder: str, path: str, size: int) -> DiskFile:
    return DiskFile(folder, path, size, (folder, path))


def _path(payload: str) -> str:
    return f"{payload[:2]}/{payload}"


def _place(payload: str) -> tuple[str, str]:
    return SHARED_STORE, _path(payload)
