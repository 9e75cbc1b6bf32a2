"""Answers over HTTP, in pieces or whole: the one flow for every API.

The head of a stream is sent with the first news, so that what is wrong before that has its HTTP status; a client that
waits longer than a few seconds gets the head and comments meanwhile, and then errors come as events.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import is_own_failure, problem_of
from mlxk2.entrypoints.http.exchange import ClientGone, Exchange
from mlxk2.entrypoints.http.identity import visit_of
from mlxk2.entrypoints.http.logs import log_failure
from mlxk2.entrypoints.http.planning import Asked
from mlxk2.entrypoints.http.run import Writer

_COMMENT = b": keep-alive\n\n"
FAREWELL = 5.0
"""Seconds that a client has to read the end of a stream whose time is over."""
_EVENTS = "text/event-stream; charset=utf-8"
_STREAM_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}


async def answer(services: HttpServices, request: Request, asked: Asked, writer: Writer) -> Response:
    """Raises Refusal and Mlxk2Error for what is wrong before the answer has begun."""
    exchange = Exchange(services, asked, visit_of(request.scope))
    watch = asyncio.create_task(_watch(request.receive, exchange))
    try:
        if asked.stream:
            pieces = _pieces(exchange, writer)
            return EventStream(await anext(pieces), pieces, watch, services.options.request_timeout + FAREWELL)
        whole = await _whole(exchange, writer)
    except ClientGone:
        watch.cancel()
        return Response(status_code=499)  # nobody reads it
    except BaseException:
        watch.cancel()
        raise
    watch.cancel()
    return Response(whole, media_type="application/json")


async def _watch(receive: Receive, exchange: Exchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.abandon()


async def _whole(exchange: Exchange, writer: Writer) -> bytes:
    async with aclosing(exchange.news()) as news:
        async for _ in news:
            pass
    return writer.whole(exchange.run)


async def _pieces(exchange: Exchange, writer: Writer) -> AsyncGenerator[bytes, None]:
    """The stream's bytes. Before the first of them errors are raised, afterwards written."""
    begun = sent = False
    try:
        async with aclosing(exchange.news()) as news:
            async for steps in news:
                parts = [] if begun or not steps else [writer.begin(exchange.run)]
                begun = begun or bool(steps)
                for step in steps:
                    parts.append(writer.add(exchange.run, step.number, step.outputs, step.tokens))
                    if step.ended:
                        parts.append(writer.end(exchange.run, step.number))
                piece = b"".join(parts) if steps else _COMMENT
                if piece:
                    sent = True
                    yield piece
        yield writer.close(exchange.run)
    except Exception as error:
        if not sent:
            raise
        if isinstance(error, ClientGone):
            return
        problem = problem_of(error)
        if is_own_failure(problem):
            log_failure(error, exchange.request_id)
        yield writer.fail(problem)


class EventStream(Response):
    """Pieces of a stream, written as they come; `content_type` says what they are.

    A client that does not read is left after `patience` seconds, if there are any: it would keep its model busy.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        watch: "asyncio.Task[None]",
        patience: float | None,
        content_type: str = _EVENTS,
    ) -> None:
        super().__init__(headers={"content-type": content_type, **_STREAM_HEADERS})
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._watch = watch
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        try:
            async with asyncio.timeout(self._patience), aclosing(self._rest) as rest:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self._first, "more_body": True})
                async for piece in rest:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # the server closes the connection of an answer that was not finished
        finally:
            self._watch.cancel()
