"""Which path leads to which endpoint."""

from collections.abc import Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from .answer import Refusal
from .reading import Reading
from .searching import Searching
from .serving import Serving
from .state import State
from .uploading import Uploading
from .writing import Writing
from .xet_client import XetClient
from .xet_serving import XetServing, XetTokens

Endpoint = Callable[[Request], Any]

_MODELS = ("{namespace}/{name}", "{name}")
"""The id of a model, in most cases within a namespace."""


def api(state: State, xet: XetClient) -> ASGIApp:
    tokens = XetTokens(state)
    reading, searching, serving, writing, uploading = (
        Reading(state),
        Searching(state),
        Serving(state),
        Writing(state, xet),
        Uploading(state),
    )
    return _application(
        Route("/api/whoami-v2", reading.whoami),
        Route("/api/models", searching.list_models),
        *_model_routes("/api/models/{id}/revision/{revision}", reading.model_info),
        *_model_routes("/api/models/{id}/tree/{revision}", reading.tree),
        *_model_routes("/api/models/{id}/tree/{revision}/{path:path}", reading.tree),
        *_model_routes("/api/models/{id}/paths-info/{revision}", reading.paths_info, "POST"),
        *_model_routes("/api/models/{id}/refs", reading.refs),
        *_model_routes("/api/models/{id}/auth-check", reading.auth_check),
        *_model_routes("/api/models/{id}/auth-check/write", reading.auth_check_write),
        *_model_routes("/{id}/resolve/{revision}/{path:path}", serving.resolve),
        Route("/api/repos/create", writing.create_repo, methods=["POST"]),
        Route("/api/repos/delete", writing.delete_repo, methods=["DELETE"]),
        Route("/api/validate-yaml", writing.validate_yaml, methods=["POST"]),
        *_model_routes("/api/models/{id}/branch/{branch}", writing.create_branch, "POST"),
        *_model_routes("/api/models/{id}/preupload/{revision}", writing.preupload, "POST"),
        *_model_routes("/api/models/{id}/commit/{revision}", writing.commit, "POST"),
        *_model_routes("/api/models/{id}/xet-read-token/{revision}", tokens.read),
        *_model_routes("/api/models/{id}/xet-write-token/{revision}", tokens.write),
        *_model_routes("/{id}.git/info/lfs/objects/batch", uploading.batch, "POST"),
        *_model_routes("/{id}.git/info/lfs/objects/verify", uploading.verify, "POST"),
        *_model_routes("/api/models/{id}", reading.model_info),
    )


def cdn(state: State) -> ASGIApp:
    serving = Serving(state)
    return _application(
        Route("/lfs/{sha256}/{path:path}", serving.content),
        Route("/xorbs/{hash}", XetServing(state, state.cdn).xorb),
        Route("/upload/{path:path}/{sha256}", Uploading(state).receive, methods=["PUT"]),
    )


def cas(state: State, content: str) -> ASGIApp:
    """The Xet store, which sends those who want content to that address."""
    xet = XetServing(state, content)
    return _application(
        Route("/v1/xorbs/default/{hash}", xet.add_xorb, methods=["POST"]),
        Route("/v1/shards", xet.add_shard, methods=["POST"]),
        Route("/v1/reconstructions/{hash}", xet.reconstruction),
        Route("/xorbs/{hash}", xet.xorb),
    )


def _model_routes(path: str, endpoint: Endpoint, method: str = "GET") -> Iterable[Route]:
    return [Route(path.replace("{id}", model), endpoint, methods=[method]) for model in _MODELS]


def _application(*routes: Route) -> ASGIApp:
    async def refused(request: Request, error: Exception) -> Any:  # noqa: ARG001
        assert isinstance(error, Refusal)
        return error.answer()

    async def not_found(request: Request, error: Exception) -> Any:  # noqa: ARG001
        return Refusal(404, None, "Sorry, we can't find the page you are looking for.").answer()

    return Starlette(routes=routes, exception_handlers={Refusal: refused, 404: not_found})
