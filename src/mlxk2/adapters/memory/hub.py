"""The `Hub` port over repos in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlxk2.adapters.memory.source import MemoryContent, source_file
from mlxk2.ports.errors import Conflict, Gated, NetworkProblem, NotOnHub
from mlxk2.ports.hub import Commit, Committed, FoundModel, HubModel, Notice, Transport


@dataclass
class MemoryRepo:
    """A repo: its branches, each a mapping of paths to contents. `gated` ones refuse everybody."""

    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    private: bool = False
    gated: bool = False
    downloads: int = 0
    tags: tuple[str, ...] = ("mlx",)

    def commit(self, branch: str) -> str:
        """The head's hash (40 hex), made from its content alone."""
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.branches[branch].items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()


class MemoryHub:
    """Repos by name; `is_offline` refuses every call. Commits of the past are not kept."""

    def __init__(self, repos: Mapping[str, MemoryRepo] | None = None, *, is_offline: bool = False) -> None:
        self.repos = dict(repos or {})
        self.is_offline = is_offline

    def page(self, name: str) -> str:
        return f"memory://hub/{name}"

    def model(self, name: str, revision: str, notice: Notice) -> HubModel:  # noqa: ARG002 - the port's shape
        repo = self._repo(name)
        branch = next((branch for branch in repo.branches if revision in (branch, repo.commit(branch))), None)
        if branch is None:
            raise NotOnHub(f"'{name}' has no revision '{revision}'", missing="revision")
        files = tuple(source_file(path, content) for path, content in sorted(repo.branches[branch].items()))
        return HubModel(name, repo.commit(branch), repo.private, repo.gated, files)

    def check_access(self, name: str, notice: Notice) -> None:  # noqa: ARG002 - the port's shape
        if self._repo(name).gated:
            raise Gated(f"'{name}' is gated: accept its terms at {self.page(name)}", page=self.page(name))

    def content(self, model: HubModel, transport: Transport, notice: Notice) -> MemoryContent:  # noqa: ARG002
        repo = self._repo(model.name)
        branch = next(branch for branch in repo.branches if repo.commit(branch) == model.commit)
        return MemoryContent(repo.branches[branch])

    def search(
        self,
        words: str,
        *,
        author: str | None,
        tag: str | None,
        limit: int,
        notice: Notice,  # noqa: ARG002 - the port's shape
    ) -> Sequence[FoundModel]:
        self._check_online()
        hits = [
            FoundModel(name, _weights(repo), repo.downloads, 0, 1_700_000_000.0, repo.gated, repo.tags)
            for name, repo in self.repos.items()
            if all(word in name.lower() for word in words.lower().split())
            and (author is None or name.startswith(f"{author}/"))
            and (tag is None or tag in repo.tags)
        ]
        return sorted(hits, key=lambda hit: -hit.downloads)[:limit]

    def create_repo(self, name: str, *, private: bool, notice: Notice) -> None:  # noqa: ARG002 - the port's shape
        self._check_online()
        self.repos.setdefault(name, MemoryRepo(private=private))

    def create_branch(self, name: str, branch: str, notice: Notice) -> None:  # noqa: ARG002 - the port's shape
        branches = self._repo(name).branches
        branches.setdefault(branch, dict(branches["main"]))

    def commit(self, commit: Commit, notice: Notice, *, bars: bool = False) -> Committed:  # noqa: ARG002
        head_commit = self.model(commit.name, commit.branch, notice).commit
        repo = self._repo(commit.name)
        if commit.parent not in (None, head_commit):
            raise Conflict(f"'{commit.name}' was changed by somebody else meanwhile")
        head = repo.branches[commit.branch]
        for path in commit.deletions:
            del head[path]
        for upload in commit.uploads:
            with open(upload.location, "rb") as file:
                head[upload.path] = file.read()
        made = repo.commit(commit.branch)
        return Committed(made, f"{self.page(commit.name)}/commit/{made}")

    def _repo(self, name: str) -> MemoryRepo:
        self._check_online()
        if name not in self.repos:
            raise NotOnHub(f"The Hub has no model '{name}' to show", missing="repo")
        return self.repos[name]

    def _check_online(self) -> None:
        if self.is_offline:
            raise NetworkProblem("Offline mode is on")


def _weights(repo: MemoryRepo) -> int | None:
    sizes = [len(content) for path, content in repo.branches["main"].items() if path.endswith(".safetensors")]
    return sum(sizes) if sizes else None
