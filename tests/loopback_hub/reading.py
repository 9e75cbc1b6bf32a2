"""Endpoints that describe one model: its properties, its files, its references, and whether a client may read it."""

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

from starlette.requests import Request

from .answer import Answer, Refusal, json_answer
from .description import Json, describe_change, describe_file, describe_folder, describe_model
from .pages import page_answer
from .repository import Commit, Model
from .state import State, parameter, revision_of


class Reading:
    def __init__(self, state: State) -> None:
        self._state = state

    async def model_info(self, request: Request) -> Answer:
        model = self._state.readable(request)
        commit = revision_of(unquote(request.path_params.get("revision", "main")), model)
        expand = request.query_params.getlist("expand")
        return json_answer(describe_model(model, commit, expand or None, blobs=_is_true(request, "blobs")))

    async def tree(self, request: Request) -> Answer:
        model = self._state.readable(request)
        commit = revision_of(parameter(request, "revision"), model)
        folder = parameter(request, "path") if "path" in request.path_params else ""
        expand = _is_true(request, "expand")
        items = [
            _item(model, commit, path, expand=expand)
            for path in _listed(commit, folder, recursive=_is_true(request, "recursive"))
        ]
        if folder and not items:
            raise Refusal(404, "EntryNotFound", f"{folder} does not exist on {commit.oid}")
        return page_answer(request, self._state, items)

    async def paths_info(self, request: Request) -> Answer:
        model = self._state.readable(request)
        commit = revision_of(parameter(request, "revision"), model)
        body = await request.body()
        if request.headers.get("content-type", "").startswith("application/json"):
            form = await request.json()
            paths, expand = form["paths"], bool(form.get("expand"))
        else:
            fields = parse_qs(body.decode())
            paths, expand = fields.get("paths", []), fields.get("expand") == ["true"]
        known = set(_listed(commit, "", recursive=True))
        return json_answer([_item(model, commit, path, expand=expand) for path in paths if path in known])

    async def refs(self, request: Request) -> Answer:
        model = self._state.readable(request)
        found: dict[str, list[Json]] = {"branches": [], "converts": [], "tags": []}
        if "include_prs" in request.query_params:
            found["pullRequests"] = []
        kinds = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/pr/": "pullRequests"}
        for reference, commit in model.refs.items():
            for prefix, kind in kinds.items():
                if reference.startswith(prefix) and kind in found:
                    name = reference.removeprefix(prefix)
                    found[kind].append({"name": name, "ref": reference, "targetCommit": commit})
        return json_answer(found)

    async def auth_check(self, request: Request) -> Answer:
        self._state.readable_content(request)
        return json_answer({})

    async def auth_check_write(self, request: Request) -> Answer:
        self._state.writable(request)
        return json_answer({})

    async def whoami(self, request: Request) -> Answer:
        token = self._state.access.user(request)
        return json_answer(
            {
                "type": "user",
                "name": token.user,
                "fullname": token.user,
                "orgs": [{"type": "org", "name": name} for name in token.organizations or ()],
                "auth": {
                    "type": "access_token",
                    "accessToken": {"displayName": "test", "role": "write" if token.write else "read"},
                },
            }
        )


def _is_true(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in {"true", "1"}


def _listed(commit: Commit, folder: str, *, recursive: bool) -> Iterator[str]:
    """The paths below a folder; each folder comes before what it holds."""
    prefix = f"{folder}/" if folder else ""
    seen: set[str] = set()
    for path in commit.files:
        if path.startswith(prefix):
            parts = path.removeprefix(prefix).split("/")
            depth = len(parts) if recursive else 1
            for count in range(1, depth + 1):
                listed = prefix + "/".join(parts[:count])
                if listed not in seen:
                    seen.add(listed)
                    yield listed


def _item(model: Model, commit: Commit, path: str, *, expand: bool) -> Json:
    if path not in commit.files:
        return describe_folder(path, commit)
    described = describe_file(path, commit.files[path])
    if expand:
        described["lastCommit"] = describe_change(model.last_change(commit, path))
    return described
