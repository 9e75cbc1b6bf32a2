"""Endpoints that change a model: it is created, gets a branch, is told what will come, and receives commits."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from .answer import Answer, Refusal, json_answer
from .content import Blob, InMemory, OnDisk
from .repository import File, Model
from .state import State, model_id, parameter, revision_of
from .storing import is_ignored, is_large
from .xet_client import XetClient

Files = dict[str, File]
Value = Mapping[str, Any]

_ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


class Writing:
    def __init__(self, state: State, xet: XetClient) -> None:
        self._state = state
        self._xet = xet

    async def create_repo(self, request: Request) -> Answer:
        token = self._state.access.user(request)
        wanted = await request.json()
        namespace = wanted.get("organization") or token.user
        name = f"{namespace}/{wanted['name']}"
        url = f"{self._state.endpoint}/{name}"
        if not (token.write and token.belongs_to(namespace)):
            message = f"You don't have the rights to create a model under the namespace {namespace!r}"
            raise Refusal(403, None, message)
        if name in self._state.models:
            raise Refusal(409, None, "You already created this model repo", url=url)
        model = Model(name, private=wanted.get("visibility") == "private" or wanted.get("private") is True)
        model.commit(
            "refs/heads/main", {".gitattributes": File(Blob(InMemory(_ATTRIBUTES)), is_lfs=False)}, "initial commit"
        )
        self._state.models[name] = model
        return json_answer({"url": url, "name": name, "private": model.private})

    async def delete_repo(self, request: Request) -> Answer:
        wanted = await request.json()
        token = self._state.access.user(request)
        name = f"{wanted.get('organization') or token.user}/{wanted['name']}"
        self._state.access.check_write(request, self._state.models.get(name))
        del self._state.models[name]
        return json_answer({})

    async def create_branch(self, request: Request) -> Answer:
        model = self._state.writable(request)
        reference = f"refs/heads/{parameter(request, 'branch')}"
        if reference in model.refs:
            raise Refusal(409, None, f"Reference already exists: {reference}")
        start = (await request.json() if await request.body() else {}).get("startingPoint", "main")
        model.refs[reference] = revision_of(start, model).oid
        return json_answer({})

    async def preupload(self, request: Request) -> Answer:
        model = self._state.writable(request)
        commit = revision_of(parameter(request, "revision"), model)
        wanted = await request.json()
        hosted = commit.files.get(".gitignore")
        gitignore = wanted.get("gitIgnore", hosted.blob.read().decode() if hosted else "")
        answers = []
        for file in wanted["files"]:
            path = file["path"]
            answer = {
                "path": path,
                "uploadMode": "lfs" if is_large(path, file["size"]) else "regular",
                "shouldIgnore": is_ignored(path, gitignore),
            }
            if path in commit.files:
                answer["oid"] = commit.files[path].etag
            answers.append(answer)
        return json_answer({"commitOid": commit.oid, "files": answers})

    async def commit(self, request: Request) -> Answer:
        model = self._state.writable(request)
        reference = f"refs/heads/{parameter(request, 'revision')}"
        if reference not in model.refs:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {parameter(request, 'revision')}")
        lines = [json.loads(line) for line in (await request.body()).splitlines() if line.strip()]
        header: Value = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit", model.refs[reference]) != model.refs[reference]:
            raise Refusal(412, None, "A commit has happened since. Please refresh and try again.")
        files = dict(model.commits[model.refs[reference]].files)
        for line in lines:
            if line["key"] == "lfsFile":
                await self._receive_through_xet(line["value"]["oid"])
            if line["key"] != "header":
                _CHANGES[line["key"]](self._state, files, line["value"])
        oid = model.commit(reference, files, header["summary"]).oid
        url = f"{self._state.endpoint}/{model_id(request)}/commit/{oid}"
        return json_answer({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    async def _receive_through_xet(self, sha256: str) -> None:
        file = self._state.xet.by_sha256(sha256)
        if file is not None and sha256 not in self._state.objects:
            path = self._state.folder / sha256
            await asyncio.to_thread(self._xet.download, file, path)
            self._state.objects[sha256] = Blob(OnDisk(path))

    async def validate_yaml(self, request: Request) -> Answer:
        await request.body()
        return json_answer({"warnings": [], "errors": []})


def _add_regular(state: State, files: Files, value: Value) -> None:  # noqa: ARG001
    files[value["path"]] = File(Blob(InMemory(base64.b64decode(value["content"]))), is_lfs=False)


def _add_large(state: State, files: Files, value: Value) -> None:
    blob = state.objects.get(value["oid"])
    if blob is None:
        raise Refusal(400, None, f"LFS pointer pointed to a file that does not exist: {value['path']}")
    xet = state.xet.by_sha256(value["oid"])
    files[value["path"]] = File(blob, is_lfs=True, xet_hash=xet.hash if xet else None)


def _delete_file(state: State, files: Files, value: Value) -> None:  # noqa: ARG001
    if files.pop(value["path"], None) is None:
        raise Refusal(404, "EntryNotFound", f"Entry not found: {value['path']}")


def _delete_folder(state: State, files: Files, value: Value) -> None:  # noqa: ARG001
    folder = value["path"].rstrip("/")
    for path in [path for path in files if path.startswith(f"{folder}/")]:
        del files[path]


_CHANGES = {
    "file": _add_regular,
    "lfsFile": _add_large,
    "deletedFile": _delete_file,
    "deletedFolder": _delete_folder,
}
