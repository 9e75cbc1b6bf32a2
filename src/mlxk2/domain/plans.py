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


def plan_of(name: str, repo: RepoFacts, removal: Removal) -> RemovalPlan:
    """The removal with what people and scripts want to know about it."""
    commits = removal.commits or tuple(entry.commit for entry in repo.snapshots)
    locks = tuple(f".locks/{repo.folder}/{etag}.lock" for etag in sorted(repo.held_locks))
    return RemovalPlan(name, removal, commits, locks)


def whole_model(repo: RepoFacts) -> Removal:
    return Removal(repo.folder, (), (), (), 0)


def one_revision(repo: RepoFacts, commit: str, links: Mapping[str, frozenset[str]]) -> Removal:
    """`links` maps each of the model's commits to the blobs that it links to."""
    others = frozenset[str]().union(*(blobs for other, blobs in links.items() if other != commit))
    blobs = tuple(sorted(blob for blob in links[commit] - others if blob in repo.blobs))
    refs = tuple(sorted(ref for ref, target in repo.refs.items() if target == commit))
    return Removal(repo.folder, refs, (commit,), blobs, 0)
