"""The layers between the network and the doors, in the order in which a request passes them.

Outermost is `Identity`: whatever happens further in has an id and a line in the log. `Failures` turns what is raised
into answers, so that guards only raise. A browser's request is looked at before a key is, since a preflight carries
none, and a key before the limits, which count by key.
"""

from collections.abc import Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from mlxk2.entrypoints.http.auth import KeyRing, Keys
from mlxk2.entrypoints.http.errors import INVALID, Problem, Refusal, is_own_failure, problem_of, render, style_of
from mlxk2.entrypoints.http.guard import Guard, HostRule, OriginRule
from mlxk2.entrypoints.http.identity import Identity, Visit, visit_of
from mlxk2.entrypoints.http.limits import Limits
from mlxk2.entrypoints.http.logs import log_failure, printable

_GONE = 499
"""What the log has for a request whose client went away before it was answered."""


def fronted(
    app: ASGIApp,
    *,
    host: str,
    allowed_hosts: Sequence[str],
    cors_origins: Sequence[str],
    api_keys: Sequence[str],
    local_key: str | None = None,
    per_client: int | None,
    tell: Sequence[Callable[[Scope, Visit, float], None]],
) -> ASGIApp:
    """The app behind all layers; `app` is a starlette Router. Raises ValidationError for options that are unsafe."""
    limited = Limits(app, per_client)
    keyed = Keys(limited, KeyRing(api_keys), KeyRing([local_key] if local_key else []))
    guarded = Guard(keyed, HostRule(host, allowed_hosts), OriginRule(cors_origins, has_keys=bool(api_keys)))
    return Identity(Failures(guarded), tell)


class Failures:
    """Answers what is raised, in the words of the API that was asked; defects go to the log, with the request id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # a Router then raises for unknown paths and methods, instead of writing text
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            visit_of(scope).status = _GONE
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this request and is told
            await self._tell(error, scope, receive, send)

    async def _tell(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        refused = _refusal_of(error, scope)
        if is_own_failure(refused.problem) or visit.status:
            log_failure(error, visit.request_id)
        if visit.status:
            return  # the head is out already: the server cuts the connection, which a client notices
        response = render(refused.problem, style_of(scope["path"]), visit.request_id, refused.headers)
        await response(scope, receive, send)


def _refusal_of(error: Exception, scope: Scope) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _of_router(error, scope)
    return Refusal(problem_of(error))


def _of_router(error: HTTPException, scope: Scope) -> Refusal:
    """Starlette's own answers: no such path, no such method, a body that its parsers do not like."""
    asked = f"{scope['method']} {printable(scope['path'])}"
    if error.status_code == 404:
        message = f"There is nothing at {asked}; {_next_step(scope['path'])}"
        return Refusal(Problem(404, INVALID, message, code="not_found"))
    if error.status_code == 405:
        allow = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        message = f"{asked} is not possible; use {allow}"
        return Refusal(Problem(405, INVALID, message, code="method_not_allowed"), (("allow", allow),))
    return Refusal(Problem(error.status_code, INVALID, error.detail), tuple((error.headers or {}).items()))


def _next_step(path: str) -> str:
    """For what clients try first, and for base URLs with too little or too much."""
    if path.startswith("/v1/v1/"):
        return "leave /v1 out of the base URL"
    if f"/v1{path}" in ("/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/messages"):
        return "let the base URL end in /v1"
    if path in ("/v1/responses", "/v1/embeddings"):
        return "this server has /v1/chat/completions, /v1/completions and /v1/messages"
    return "/openapi.json lists what there is"
