"""What an endpoint answers: a status, headers and a body, which an exchange delivers with the faults in force."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from .content import Body, InMemory


class Answer:
    """Starlette calls it as it would call a response of its own."""

    def __init__(
        self, body: Body, status: int = 200, headers: Mapping[str, str] | None = None, *, etag: str | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        self.etag = etag
        """Set for the content of a file, of which a range may be asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await scope["exchange"].deliver(self, send)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(InMemory(body), status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def empty_answer(status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(InMemory(b""), status, headers)


class Refusal(Exception):
    """A request that is not granted; the error code in the header is how clients tell the reasons apart."""

    def __init__(self, status: int, code: str | None, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers: Mapping[str, str] = more.pop("headers", {})
        self.more = more

    def answer(self) -> Answer:
        headers = {"X-Error-Message": self.message, **self.headers}
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        return json_answer({"error": self.message, **self.more}, self.status, headers)
