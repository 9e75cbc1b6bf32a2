"""Endpoints that hand out the content of files: small ones directly, LFS files by way of the other port."""

import hashlib
from urllib.parse import quote

from starlette.requests import Request

from .answer import Answer, Refusal, empty_answer
from .state import State, file_of, parameter, revision_of


class Serving:
    def __init__(self, state: State) -> None:
        self._state = state

    async def resolve(self, request: Request) -> Answer:
        model = self._state.readable_content(request)
        commit = revision_of(parameter(request, "revision"), model)
        file = file_of(request, commit)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if not file.is_lfs:
            etag = f'"{file.etag}"'
            return Answer(file.blob.body, headers={**headers, "ETag": etag}, etag=etag)
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(file.blob.size)}
        if file.xet_hash is not None:
            token = f"{self._state.endpoint}/api/models/{model.id}/xet-read-token/{commit.oid}"
            headers |= {"X-Xet-Hash": file.xet_hash, "Link": f'<{token}>; rel="xet-auth"'}
        path = quote(f"lfs/{file.blob.sha256}/{model.id}/{parameter(request, 'path')}")
        headers["Location"] = f"{self._state.cdn}/{path}?Signature=for-this-file-only"
        return empty_answer(302, headers)

    async def content(self, request: Request) -> Answer:
        """The signature in the URL is the permission; a token as well is an error, as at real storage services."""
        if "authorization" in request.headers:
            raise Refusal(400, None, "Only one auth mechanism allowed")
        blob = self._state.objects.get(parameter(request, "sha256"))
        if blob is None:
            raise Refusal(404, None, "Not found")
        # Not the sha256 on purpose: a client must not take the ETag of a CDN for it.
        etag = f'"{hashlib.sha256(blob.sha256.encode()).hexdigest()[:32]}"'
        return Answer(blob.body, headers={"Accept-Ranges": "bytes", "ETag": etag}, etag=etag)
