"""The models of the Hub: files in commits, branches and tags that point to them, and what the Hub knows about each."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .content import Blob

Gated = bool | str
"""False, or how access is granted: "auto" or "manual" (True is manual)."""


@dataclass(frozen=True)
class File:
    blob: Blob
    is_lfs: bool
    xet_hash: str | None = None

    @property
    def pointer(self) -> bytes:
        """What git stores in place of an LFS file."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.blob.sha256}\nsize {self.blob.size}\n"
        ).encode()

    @property
    def oid(self) -> str:
        """The name of the object in git: for an LFS file, that of its pointer."""
        if not self.is_lfs:
            return self.blob.git_sha1
        pointer = self.pointer
        return hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        return self.blob.sha256 if self.is_lfs else self.blob.git_sha1


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    date: datetime
    files: Mapping[str, File]


@dataclass
class Model:
    id: str
    private: bool = False
    gated: Gated = False
    uses_xet: bool = False
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    pipeline_tag: str | None = None
    library_name: str | None = None
    parameters: Mapping[str, int] | None = None
    """Number of parameters by type; when it is None, the headers of the safetensors files tell."""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """Full name of a reference, such as refs/heads/main, to commit."""

    @property
    def namespace(self) -> str | None:
        return self.id.split("/")[0] if "/" in self.id else None

    @property
    def head(self) -> Commit:
        return self.commits[self.refs["refs/heads/main"]]

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag, a full reference or a commit id names."""
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self.refs:
                return self.commits[self.refs[name]]
        return self.commits.get(revision)

    def commit(self, reference: str, files: Mapping[str, File], title: str, date: datetime | None = None) -> Commit:
        parent = self.refs.get(reference)
        text = "\n".join(
            [str(parent), title, str(len(self.commits)), *(f"{p} {f.oid}" for p, f in sorted(files.items()))]
        )
        oid = hashlib.sha1(f"{self.id}\n{text}".encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, parent, title, date or datetime.now(UTC), dict(sorted(files.items())))
        self.commits[oid] = commit
        self.refs[reference] = oid
        return commit

    def last_change(self, commit: Commit, path: str) -> Commit:
        """The commit that gave a file of `commit` its content."""
        oid = commit.files[path].oid
        while commit.parent is not None:
            parent = self.commits[commit.parent]
            if path not in parent.files or parent.files[path].oid != oid:
                break
            commit = parent
        return commit
