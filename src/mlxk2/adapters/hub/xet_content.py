"""A revision's bytes through hf_xet, which takes byte ranges as HTTP does; what is not kept in Xet comes over HTTP."""

from collections import defaultdict
from collections.abc import Iterator
from threading import Lock
from typing import Any

from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.utils import hf_raise_for_status

from mlxk2.adapters.hub.failures import About, EndedEarly
from mlxk2.adapters.hub.http_content import HttpContent
from mlxk2.adapters.hub.retrying import Retries
from mlxk2.ports.errors import DownloadFailed, Mlxk2Error
from mlxk2.ports.hub import HubModel, Notice
from mlxk2.ports.sources import SourceFile

_TIMEOUT = 30.0


class XetContent:
    """The `Content` port on one Xet session, which is opened when the first file needs it."""

    def __init__(
        self, endpoint: str, model: HubModel, headers: dict[str, str], retries: Retries, notice: Notice
    ) -> None:
        self._http = HttpContent(endpoint, model, headers, retries, notice)
        self._endpoint = endpoint
        self._model = model
        self._headers = headers
        self._retries = retries
        self._notice = notice
        self._guard = Lock()
        self._of_file: defaultdict[str, Lock] = defaultdict(Lock)
        self._known: dict[str, Any] = {}
        self._group: Any = None

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        described = self._described(file) if file.is_lfs else None
        if described is None:
            yield from self._http.read(file, start, stop)
            return
        position, failures = start, 0
        while position < stop:
            try:
                for piece in self._opened(described).download_stream(_info(described, file), position, stop):
                    failures = 0
                    position += len(piece)
                    yield bytes(piece)
                if position < stop:
                    raise EndedEarly
            except Mlxk2Error:
                raise
            except Exception as error:  # noqa: BLE001 - hf_xet raises RuntimeError for all that goes wrong on its way
                failures += 1
                with self._guard:
                    self._group = None
                if failures >= self._retries.attempts:
                    raise DownloadFailed(
                        f"{file.path} could not be fetched from the Xet storage; what has come is kept, try again later"
                        " or with --transport http",
                        details=type(error).__name__,
                    ) from None
                self._retries.sleep(self._retries.growing(failures))

    def _described(self, file: SourceFile) -> Any:
        """Where Xet keeps the file, from the Hub's own words; None when it does not. One request a file."""
        with self._guard:
            own = self._of_file[file.path]
        with own:
            if file.path not in self._known:
                url = hf_hub_url(self._model.name, file.path, revision=self._model.commit, endpoint=self._endpoint)
                self._known[file.path] = self._call(
                    lambda: (
                        get_hf_file_metadata(
                            url, headers=self._headers, endpoint=self._endpoint, timeout=_TIMEOUT
                        ).xet_file_data
                    ),
                    file,
                )
            return self._known[file.path]

    def _opened(self, described: Any) -> Any:
        """The session's stream group, with a token of its own for the storage."""
        with self._guard:
            if self._group is None:
                from hf_xet import XetSession

                answer = self._call(lambda: self._token(described.refresh_route), None)
                self._group = XetSession().new_download_stream_group(
                    endpoint=answer["casUrl"],
                    token=answer["accessToken"],
                    token_expiry_unix_secs=answer["exp"],
                    token_refresh_url=described.refresh_route,
                    token_refresh_headers=self._headers,
                )
            return self._group

    def _token(self, route: str) -> dict[str, Any]:
        response = get_session().get(route, headers=self._headers, timeout=_TIMEOUT)
        hf_raise_for_status(response)
        answer: dict[str, Any] = response.json()
        return answer

    def _call(self, work: Any, file: SourceFile | None) -> Any:
        about = About(self._endpoint, self._model.name, self._model.commit, file.path if file else "")
        return self._retries.call(work, about, self._notice, has_token="authorization" in self._headers)


def _info(described: Any, file: SourceFile) -> Any:
    from hf_xet import XetFileInfo

    return XetFileInfo(described.file_hash, file.size)
