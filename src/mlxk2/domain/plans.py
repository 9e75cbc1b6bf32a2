"""Plans of deletion: what goes, what stays, what is freed; to be shown, tested and then carried out.

A blob goes with a revision only when no other revision of the model links to it; refs that name the revision go with
it; the last revision takes the whole model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mlxk2.ports.cache import Removal, RepoFacts


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """`commits` are the revisions that go; `held_locks` are lock files in use, relative to the cache."""

    name: str
    removal: Removal
    commits: tuple[str, ...]
    held_locks: tuple[str, ...]

    @property
    def frees(self) -> int:
        return self.removal.frees


def lock_files(repo: RepoFacts) -> tuple[str, ...]:
    return tuple(f".locks/{repo.folder}/{etag}.lock" for etag in sorted(repo.held_locks))


def whole_model(name: str, repo: RepoFacts, frees: int) -> RemovalPlan:
    commits = tuple(entry.commit for entry in repo.snapshots)
    return RemovalPlan(name, Removal(repo.folder, (), (), (), frees), commits, lock_files(repo))


def blobs_of_one_revision(commit: str, links: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Blobs that only this revision uses; `links` maps each commit to the blobs that it links to."""
    others = frozenset[str]().union(*(blobs for other, blobs in links.items() if other != commit))
    return tuple(sorted(links[commit] - others))


def one_revision(name: str, repo: RepoFacts, commit: str, blobs: tuple[str, ...], frees: int) -> RemovalPlan:
    refs = tuple(sorted(ref for ref, target in repo.refs.items() if target == commit))
    present = tuple(blob for blob in blobs if blob in repo.blobs)
    return RemovalPlan(name, Removal(repo.folder, refs, (commit,), present, frees), (commit,), lock_files(repo))
