"""From a relay's lines to an HTTP answer: errors have a status before the first line, a line of their own after it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from mlxk2.entrypoints.http.answering import EventStream
from mlxk2.entrypoints.http.attached.relaying import Relay
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import failed_line, is_own_failure, problem_of, trouble_over
from mlxk2.entrypoints.http.exchange import ClientGone
from mlxk2.entrypoints.http.identity import visit_of
from mlxk2.entrypoints.http.logs import log_failure
from mlxk2.ports.generation import GenerationRequest

_LINES = "application/x-ndjson"


async def stream(
    services: HttpServices, request: Request, model: str, wanted: GenerationRequest | None = None
) -> Response:
    """Raises Refusal, ClientDisconnect and every Mlxk2Error for what goes wrong before the first line."""
    relay = Relay(services, visit_of(request.scope), model, wanted)
    watch = asyncio.create_task(_watch(request.receive, relay))
    pieces = _pieces(relay)
    try:
        first = await anext(pieces)
    except ClientGone:
        watch.cancel()
        raise ClientDisconnect from None
    except BaseException:
        watch.cancel()
        raise
    return EventStream(first, pieces, watch, None, _LINES)


async def _watch(receive: Receive, relay: Relay) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    relay.abandon()


async def _pieces(relay: Relay) -> AsyncGenerator[bytes, None]:
    has_begun = False
    try:
        async with aclosing(relay.lines()) as lines:
            async for piece in lines:
                has_begun = True
                yield piece
    except ClientGone:
        if not has_begun:
            raise
    except Exception as error:
        if not has_begun:
            raise
        if is_own_failure(problem_of(error)):
            log_failure(error, relay.request_id)
        yield failed_line(trouble_over(error))
