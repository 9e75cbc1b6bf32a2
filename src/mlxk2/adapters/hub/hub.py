"""The Hub as huggingface_hub reaches it. Tokens are found by huggingface_hub: environment, then stored login."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from huggingface_hub import HfApi, get_session, get_token
from huggingface_hub.utils import build_hf_headers

from mlxk2 import __version__
from mlxk2.adapters.hub.failures import About, offline, refuse_long_waits
from mlxk2.adapters.hub.http_content import HttpContent
from mlxk2.adapters.hub.retrying import Retries
from mlxk2.adapters.hub.searching import find
from mlxk2.adapters.hub.uploading import heard, upload
from mlxk2.ports.errors import DownloadFailed, NetworkProblem
from mlxk2.ports.hub import Commit, Committed, FoundModel, HubModel, Notice, Transport
from mlxk2.ports.redaction import without_secrets
from mlxk2.ports.sources import Content, SourceFile

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT = 60.0
"""Seconds without a byte after which a call counts as broken; huggingface_hub itself would wait for ever."""


class HuggingFaceHub:
    """The `Hub` port at one endpoint."""

    def __init__(self, endpoint: str, *, is_offline: bool = False, retries: Retries | None = None) -> None:
        self._endpoint = endpoint
        self._shown = without_login(endpoint)
        self._is_offline = is_offline
        self._retries = retries or Retries()
        self._api = HfApi(endpoint=endpoint, library_name="mlxk2", library_version=__version__)

    def page(self, name: str) -> str:
        return f"{self._shown}/{name}"

    def model(self, name: str, revision: str, notice: Notice) -> HubModel:
        info = self._call(
            lambda: self._api.model_info(name, revision=revision, files_metadata=True, timeout=_TIMEOUT),
            About(self._shown, name, revision),
            notice,
        )
        files = tuple(sorted((_source_file(name, sibling) for sibling in info.siblings or ()), key=lambda f: f.path))
        if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
            raise DownloadFailed(f"The Hub does not say which commit '{revision}' of '{name}' is; try again later")
        return HubModel(name, info.sha, bool(info.private), bool(info.gated), files)

    def check_access(self, name: str, notice: Notice) -> None:
        self._call(lambda: self._api.auth_check(name), About(self._shown, name), notice)

    def content(self, model: HubModel, transport: Transport, notice: Notice) -> Content:
        if transport is Transport.XET:
            from mlxk2.adapters.hub.xet_content import XetContent

            return XetContent(self._endpoint, model, self._headers(), self._retries, notice)
        return HttpContent(self._endpoint, model, self._headers(), self._retries, notice)

    def search(
        self, words: str, *, author: str | None, tag: str | None, limit: int, notice: Notice
    ) -> Sequence[FoundModel]:
        about = About(self._shown, words)
        return self._call(
            lambda: find(self._endpoint, self._headers(), words, author=author, tag=tag, limit=limit), about, notice
        )

    def create_repo(self, name: str, *, private: bool, notice: Notice) -> None:
        about = About(self._shown, name, verb="create", done="created")
        self._call(lambda: self._api.create_repo(name, private=private, exist_ok=True), about, notice)

    def create_branch(self, name: str, branch: str, notice: Notice) -> None:
        about = About(self._shown, name, branch, verb="create", done="created")
        self._call(lambda: self._api.create_branch(name, branch=branch, exist_ok=True), about, notice)

    def commit(self, commit: Commit, notice: Notice, *, bars: bool = False) -> Committed:
        about = About(self._shown, commit.name, commit.branch, verb="write to", done="written to")
        with heard(notice, bars=bars):
            return self._call(lambda: upload(self._api, commit), about, notice)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = build_hf_headers(library_name="mlxk2", library_version=__version__)
        return headers

    def _call(self, work: Callable[[], T], about: About, notice: Notice) -> T:
        if self._is_offline:
            raise offline()
        prepare_session()
        return self._retries.call(work, about, notice, has_token=bool(get_token()))


def prepare_session() -> None:
    """Give huggingface_hub's session, which the whole process shares, a time limit and a limit for pauses.

    Raises NetworkProblem when no session can be made, which happens with a proxy that it does not know.
    """
    try:
        session = get_session()
    except Exception as error:
        raise NetworkProblem(
            f"The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used ({type(error).__name__});"
            " a SOCKS proxy needs the package socksio",
            details=without_secrets(str(error)),
        ) from error
    session.timeout = _TIMEOUT
    hooks = session.event_hooks
    if refuse_long_waits not in hooks["response"]:
        session.event_hooks = {**hooks, "response": [*hooks["response"], refuse_long_waits]}


def without_login(endpoint: str) -> str:
    """The address as people may see it."""
    scheme, separator, rest = endpoint.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _source_file(name: str, sibling: Any) -> SourceFile:
    lfs = sibling.lfs
    size = lfs.size if lfs else sibling.size
    etag = lfs.sha256 if lfs else sibling.blob_id
    texts = (sibling.rfilename, etag, sibling.blob_id)
    if type(size) is not int or size < 0 or not all(isinstance(text, str) and text for text in texts):
        raise DownloadFailed(f"The Hub does not say how large {sibling.rfilename} of '{name}' is, or what its hash is")
    return SourceFile(sibling.rfilename, size, etag, sibling.blob_id)
