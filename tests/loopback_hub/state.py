"""What all endpoints share: the models, the objects uploaded to LFS, the tokens, and the addresses of the ports."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import Request

from .access import Access
from .answer import Refusal
from .content import Blob
from .repository import Commit, File, Model
from .xet_store import XetStore


@dataclass
class State:
    endpoint: str
    cdn: str
    cas: str
    """The Xet store."""
    folder: Path
    """Where uploaded objects are kept."""
    page_size: int
    models: dict[str, Model] = field(default_factory=dict)
    objects: dict[str, Blob] = field(default_factory=dict)
    """The content of all LFS files, by sha256."""
    xet: XetStore = field(default_factory=XetStore)
    access: Access = field(default_factory=Access)

    def readable(self, request: Request) -> Model:
        """The model that the path of a request names."""
        return self.access.check_read(request, self._named(request))

    def readable_content(self, request: Request) -> Model:
        return self.access.check_content(request, self._named(request))

    def writable(self, request: Request) -> Model:
        return self.access.check_write(request, self._named(request))

    def _named(self, request: Request) -> Model | None:
        return self.models.get(model_id(request))


def parameter(request: Request, name: str) -> str:
    return unquote(request.path_params[name])


def model_id(request: Request) -> str:
    namespace, name = request.path_params.get("namespace"), request.path_params["name"]
    return unquote(f"{namespace}/{name}" if namespace else name)


def revision_of(revision: str, model: Model) -> Commit:
    commit = model.find(revision)
    if commit is None:
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return commit


def file_of(request: Request, commit: Commit) -> File:
    path = parameter(request, "path")
    if path not in commit.files:
        raise Refusal(404, "EntryNotFound", "Entry not found", headers={"X-Repo-Commit": commit.oid})
    return commit.files[path]
