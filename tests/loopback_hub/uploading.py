"""Endpoints through which LFS files arrive: what is missing is asked first, then it is put on the other port."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from starlette.requests import Request

from .answer import Answer, Refusal, empty_answer, json_answer
from .content import Blob, OnDisk
from .state import State, parameter


class Uploading:
    def __init__(self, state: State) -> None:
        self._state = state

    async def batch(self, request: Request) -> Answer:
        """Objects that the Hub has already are answered without an action."""
        model = self._state.writable(request)
        answers: list[dict[str, Any]] = []
        for wanted in (await request.json())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self._state.objects:
                answer["actions"] = {
                    "upload": {
                        "href": f"{self._state.cdn}/upload/{model.id}/{wanted['oid']}?Signature=for-this-file-only"
                    },
                    "verify": {"href": f"{self._state.endpoint}/{model.id}.git/info/lfs/objects/verify"},
                }
            answers.append(answer)
        return json_answer({"transfer": "basic", "objects": answers})

    async def receive(self, request: Request) -> Answer:
        sha256 = parameter(request, "sha256")
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self._state.folder, delete=False) as file:
            async for piece in request.stream():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            Path(file.name).unlink()
            raise Refusal(400, None, "The content does not have the announced sha256")
        self._state.objects[sha256] = Blob(OnDisk(Path(file.name)))
        return empty_answer(headers={"ETag": f'"{sha256[:32]}"'})

    async def verify(self, request: Request) -> Answer:
        self._state.writable(request)
        wanted = await request.json()
        blob = self._state.objects.get(wanted["oid"])
        if blob is None or blob.size != wanted["size"]:
            raise Refusal(404, None, "The object did not arrive")
        return json_answer({})
