"""How many requests one key may have at once, or one client where no keys are set.

Only what may ask a model counts, which is nearly every POST: looking at the server's state is always possible.
"""

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from mlxk2.entrypoints.http.errors import Problem, Refusal
from mlxk2.entrypoints.http.identity import visit_of

_AGAIN_SECONDS = 2
_LOOKS = frozenset({"/engine/status", "/engine/stats", "/engine/unload"})
"""What is asked with POST, and of no model."""


class Limits:
    """`per_client` None: no limit. Lives in one event loop, so nothing is locked."""

    def __init__(self, app: ASGIApp, per_client: int | None) -> None:
        self._app = app
        self._most = per_client
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._most is None or scope["method"] != "POST" or scope["path"] in _LOOKS:
            await self._app(scope, receive, send)
            return
        client = visit_of(scope).client
        if self._running[client] >= self._most:
            raise Refusal(_too_many(self._most))
        self._running[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    @property
    def clients(self) -> int:
        """How many clients have requests now."""
        return len(self._running)


def _too_many(most: int) -> Problem:
    requests = "request" if most == 1 else "requests"
    message = f"This client already has {most} {requests} running, the most at once; try again when one is done"
    return Problem(429, "rate_limit_error", message, code="rate_limit_exceeded", retry_after=_AGAIN_SECONDS)
