"""The Hub: what it knows of models, their bytes, and what is sent there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from mlxk2.ports.sources import Content, SourceFile
from mlxk2.ports.workspace import LocalFile

Notice = Callable[[str], None]
"""Told in one sentence why nothing happens for a while: the Hub is busy, or asked to wait."""


class Transport(Enum):
    """How file contents travel."""

    HTTP = "http"
    XET = "xet"


class HubModel(NamedTuple):
    """One revision of a repo on the Hub; `files` in the order of their paths."""

    name: str
    commit: str
    private: bool
    gated: bool
    files: tuple[SourceFile, ...]


class FoundModel(NamedTuple):
    """A hit of a search. `size` are the bytes of its safetensors weights and `modified` is in seconds since the epoch;
    both None when the Hub does not know."""

    name: str
    size: int | None
    downloads: int
    likes: int
    modified: float | None
    gated: bool
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """What one commit changes. `parent` is the head that the plan was made against; None takes whatever is there."""

    name: str
    branch: str
    message: str
    parent: str | None
    uploads: tuple[LocalFile, ...]
    deletions: tuple[str, ...]


class Committed(NamedTuple):
    """The commit that the Hub made of it, and its page."""

    commit: str
    url: str


class Hub(Protocol):
    """Every call raises the typed errors of `ports/errors.py`; what is transient is tried again first."""

    def page(self, name: str) -> str:
        """The address of a model's page, for people."""

    def model(self, name: str, revision: str, notice: Notice) -> HubModel:
        """What a branch, tag or commit holds, in one call. Raises NotOnHub, Unauthorised, NetworkProblem."""

    def check_access(self, name: str, notice: Notice) -> None:
        """Raises Gated or Unauthorised when this user may not read the files of a gated repo."""

    def content(self, model: HubModel, transport: Transport, notice: Notice) -> Content:
        """The bytes of a revision's files."""

    def search(
        self, words: str, *, author: str | None, tag: str | None, limit: int, notice: Notice
    ) -> Sequence[FoundModel]:
        """Models whose name has the words, most downloaded first; of one author, with one tag."""

    def create_repo(self, name: str, *, private: bool, notice: Notice) -> None:
        """Make a repo; one that exists already is left as it is."""

    def create_branch(self, name: str, branch: str, notice: Notice) -> None:
        """Make a branch from `main`; one that exists already is left as it is."""

    def commit(self, commit: Commit, notice: Notice, *, bars: bool = False) -> Committed:
        """Upload and commit in one step; nothing shows on the Hub when it fails. `bars` lets progress be drawn on a
        terminal. Raises Conflict when `parent` is no longer the branch's head.
        """
