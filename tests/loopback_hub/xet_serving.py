"""Endpoints of Xet: the Hub hands out tokens for the store, the store takes in and describes, the CDN hands out xorbs.

Only the first version of the store's interface is there; clients that know a newer one find it missing and fall back.
"""

import time

from starlette.requests import Request

from .answer import Answer, Refusal, json_answer
from .byteranges import part_of
from .content import OnDisk
from .description import Json
from .state import State, parameter, revision_of
from .xet_format import Term, chunks_of_xorb, files_of_shard
from .xet_store import Xorb

READ_TOKEN, WRITE_TOKEN = "xet-read-token", "xet-write-token"
_VALIDITY = 3600


class XetTokens:
    def __init__(self, state: State) -> None:
        self._state = state

    async def read(self, request: Request) -> Answer:
        model = self._state.readable_content(request)
        revision_of(parameter(request, "revision"), model)
        return self._token(READ_TOKEN)

    async def write(self, request: Request) -> Answer:
        self._state.writable(request)
        return self._token(WRITE_TOKEN)

    def _token(self, token: str) -> Answer:
        expiry = int(time.time()) + _VALIDITY
        headers = {
            "X-Xet-Cas-Url": self._state.cas,
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": str(expiry),
        }
        return json_answer({"casUrl": self._state.cas, "accessToken": token, "exp": expiry}, headers=headers)


class XetServing:
    def __init__(self, state: State, content: str) -> None:
        self._state = state
        self._store = state.xet
        self._content = content
        """Where the xorbs come from."""

    async def add_xorb(self, request: Request) -> Answer:
        _check(request, WRITE_TOKEN)
        name = parameter(request, "hash")
        data = await request.body()
        is_new = name not in self._store.xorbs
        if is_new:
            path = self._state.folder / f"{name}.xorb"
            path.write_bytes(data)
            self._store.xorbs[name] = Xorb(OnDisk(path), tuple(chunks_of_xorb(data)))
        return json_answer({"was_inserted": is_new})

    async def add_shard(self, request: Request) -> Answer:
        _check(request, WRITE_TOKEN)
        for file in files_of_shard(await request.body()):
            if any(term.xorb not in self._store.xorbs for term in file.terms):
                raise Refusal(400, None, f"File {file.hash} needs a xorb that is not there")
            self._store.files[file.hash] = file
        return json_answer({"result": 1})

    async def reconstruction(self, request: Request) -> Answer:
        _check(request, READ_TOKEN, WRITE_TOKEN)
        file = self._store.files.get(parameter(request, "hash"))
        if file is None:
            raise Refusal(404, None, "File not found")
        part = part_of(request.headers.get("range"), file.size)
        if part.status == 416:
            raise Refusal(416, None, "Beyond the end of the file")
        found = self._store.reconstruct(file, part.start, part.start + part.count)
        fetches: dict[str, list[Json]] = {}
        for term in dict.fromkeys(found.terms):
            fetches.setdefault(term.xorb, []).append(self._fetch(term))
        return json_answer(
            {
                "offset_into_first_range": found.skipped,
                "terms": [
                    {"hash": term.xorb, "unpacked_length": self._store.size_of(term), "range": _range(term)}
                    for term in found.terms
                ],
                "fetch_info": fetches,
            }
        )

    async def xorb(self, request: Request) -> Answer:
        name = parameter(request, "hash")
        if name not in self._store.xorbs:
            raise Refusal(404, None, "Not found")
        return Answer(self._store.xorbs[name].body, etag=f'"{name}"')

    def _fetch(self, term: Term) -> Json:
        start, end = self._store.place_of(term)
        return {
            "range": _range(term),
            "url": f"{self._content}/xorbs/{term.xorb}?Signature=for-this-xorb-only",
            "url_range": {"start": start, "end": end},
        }


def _range(term: Term) -> Json:
    return {"start": term.first, "end": term.end}


def _check(request: Request, *tokens: str) -> None:
    """The token of the Hub must never come here."""
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in tokens:
        raise Refusal(401, None, "This is not a token of this store")
