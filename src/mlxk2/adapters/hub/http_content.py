"""A revision's bytes over HTTP, in ranges, on huggingface_hub's own session."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.utils import hf_raise_for_status

from mlxk2.adapters.hub.failures import About, EndedEarly, status_of
from mlxk2.adapters.hub.retrying import Retries
from mlxk2.ports.hub import HubModel, Notice
from mlxk2.ports.sources import SourceFile

_STALE = frozenset({400, 401, 403, 404, 410})
"""Answers of a storage server whose signed address has run out."""


class HttpContent:
    """The `Content` port. `headers` carry the user's token and go to the Hub only, never to its storage servers."""

    def __init__(
        self, endpoint: str, model: HubModel, headers: dict[str, str], retries: Retries, notice: Notice
    ) -> None:
        self._endpoint = endpoint
        self._model = model
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._has_token = any(name.lower() == "authorization" for name in headers)
        self._retries = retries
        self._notice = notice
        self._storage: dict[str, str] = {}

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        about = About(self._endpoint, self._model.name, self._model.commit, file.path)
        position, failures = start, 0
        while position < stop:
            storage = self._storage.get(file.path)
            try:
                for piece in self._request(file, storage, position, stop):
                    failures = 0
                    position += len(piece)
                    yield piece
                if position < stop:
                    raise EndedEarly
            except Exception as error:  # noqa: BLE001 - told apart and translated
                if storage is not None and status_of(error) in _STALE:
                    self._forget(file, storage)
                    continue
                failures += 1
                self._retries.wait(failures, error, about, self._notice, has_token=self._has_token)

    def _forget(self, file: SourceFile, storage: str) -> None:
        """A signed address has run out; the Hub gives a new one, unless another thread has got it already."""
        if self._storage.get(file.path) == storage:
            self._storage.pop(file.path, None)

    def _request(self, file: SourceFile, storage: str | None, start: int, stop: int) -> Iterator[bytes]:
        own = hf_hub_url(self._model.name, file.path, revision=self._model.commit, endpoint=self._endpoint)
        url = storage or own
        headers = {"Accept-Encoding": "identity"} if storage else self._headers
        request = get_session().stream(
            "GET",
            url,
            headers={**headers, "Range": f"bytes={start}-{stop - 1}"},
            follow_redirects=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )
        with request as response:
            if response.status_code not in (200, 206):
                response.close()  # its headers tell all, and nobody knows how long its body is
                hf_raise_for_status(response)
                raise EndedEarly  # neither content nor an error
            final = str(response.url)
            if urlsplit(final)[:2] != urlsplit(own)[:2]:
                self._storage[file.path] = final
            yield from _window(response, start, stop)


def _window(response: Any, start: int, stop: int) -> Iterator[bytes]:
    """The wanted bytes of an answer; a server that does not know ranges sends the file from its beginning."""
    position = start if response.status_code == 206 else 0
    for piece in response.iter_raw():
        first, last = max(0, start - position), stop - position
        position += len(piece)
        if wanted := piece if first == 0 and last >= len(piece) else piece[first:last]:
            yield wanted
        if position >= stop:
            return
