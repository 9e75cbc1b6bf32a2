"""Every request has an id and a record of what is known of it: for its log line, its numbers and its errors.

`Identity` is the outermost layer. A client's own X-Request-ID is kept if it is safe to write anywhere; the answer names
the id, whatever the answer is, and carries the headers that every answer has.
"""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlxk2.entrypoints.http.errors import style_of

_KEY = "mlxk2.visit"
_SAFE_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_ALWAYS = ((b"x-content-type-options", b"nosniff"),)
_NO_STORE = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Visit:
    """One HTTP request. `began` is on the monotonic clock, in seconds.

    `headers` go out with the answer. `status` is 0 until the answer has begun, `client` says for whom the request is
    without telling a key, `model` is a name as it is listed, and never what a client has made up.
    """

    request_id: str
    began: float
    headers: list[Header] = field(default_factory=list)
    status: int = 0
    client: str = "local"
    model: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


def visit_of(scope: Scope) -> Visit:
    """The record of the request that is being answered."""
    visit: Visit = scope[_KEY]
    return visit


def values_of(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a request header, whose name is written in lower case."""
    return [value for known, value in scope["headers"] if known == name]


class Identity:
    """`tell` hears of each request once it is over, with how long it took in seconds."""

    def __init__(self, app: ASGIApp, tell: Sequence[Callable[[Scope, Visit, float], None]] = ()) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("This server speaks HTTP only")
        visit = scope[_KEY] = Visit(_request_id(scope), time.monotonic())
        marks = _marks(scope["path"], visit.request_id)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                own = list(message.get("headers", ()))
                rest = () if any(name == _NO_STORE[0] for name, _ in own) else (_NO_STORE,)
                message["headers"] = [*own, *marks, *_ALWAYS, *rest, *visit.headers]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            seconds = time.monotonic() - visit.began
            for tell in self._tell:
                tell(scope, visit, seconds)


def _request_id(scope: Scope) -> str:
    given = values_of(scope, b"x-request-id")
    if len(given) == 1 and _SAFE_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return f"req_{secrets.token_hex(12)}"


def _marks(path: str, request_id: str) -> list[Header]:
    value = request_id.encode("ascii")
    marks = [(b"x-request-id", value)]
    return [*marks, (b"request-id", value)] if style_of(path) == "anthropic" else marks
