"""The paths under `/engine`. Only the local key opens them (`auth.py`), and no web page gets here, listed or not."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlxk2.domain.usecases.serve_models import Lease
from mlxk2.entrypoints.http.attached import wire
from mlxk2.entrypoints.http.attached.held import held
from mlxk2.entrypoints.http.attached.streaming import stream
from mlxk2.entrypoints.http.bodies import read_parsed
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import ENGINE, failed_line, is_own_failure, problem_of, trouble_over
from mlxk2.entrypoints.http.guard import forbidden
from mlxk2.entrypoints.http.identity import values_of, visit_of
from mlxk2.entrypoints.http.leasing import on_model
from mlxk2.entrypoints.http.logs import log_failure, printable
from mlxk2.entrypoints.http.operating.keeping import unload
from mlxk2.entrypoints.http.operating.looking import in_thread
from mlxk2.ports.attachment import ToGenerate, ToOpen, ToRender
from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import Mlxk2Error, ModelNotFound
from mlxk2.ports.held import ToUnload
from mlxk2.ports.questions import ToCount, ToDetokenize, ToTokenize

T = TypeVar("T")

Handler = Callable[[Request], Awaitable[Response]]
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class _Limits:
    """Whoever gets here runs the server, so that its limits for clients do not count; these keep accidents small.

    A prompt of a million tokens takes eight of these 64 MiB.
    """

    largest_body: int = 64 * 2**20
    deepest_json: int = 16


def routes(services: HttpServices) -> list[Route]:
    door = _Door(services)
    handlers: dict[str, Handler] = {
        "open": door.open,
        "render": door.render,
        "tokenize": door.tokenize,
        "detokenize": door.detokenize,
        "generate": door.generate,
        "stats": door.stats,
        "status": door.status,
        "unload": door.unload,
    }
    return [Route(ENGINE + name, _told(handler), methods=["POST"]) for name, handler in handlers.items()]


class _Door:
    def __init__(self, services: HttpServices) -> None:
        self._services = services

    async def open(self, request: Request) -> Response:
        body = await self._read(request, ToOpen)
        return await stream(self._services, request, body.model)

    async def generate(self, request: Request) -> Response:
        body = await self._read(request, ToGenerate)
        return await stream(self._services, request, body.model, body.request)

    async def render(self, request: Request) -> Response:
        body = await self._read(request, ToRender)
        return await self._ask(request, body.model, lambda e: e.render(body.messages, body.tools, body.options))

    async def tokenize(self, request: Request) -> Response:
        body = await self._read(request, ToTokenize)
        return await self._ask(request, body.model, lambda engine: engine.tokenize(body.text))

    async def detokenize(self, request: Request) -> Response:
        body = await self._read(request, ToDetokenize)
        return await self._ask(request, body.model, lambda engine: engine.detokenize(body.tokens))

    async def stats(self, request: Request) -> Response:
        """Waits for nobody, and makes no model load."""
        body = await self._read(request, ToCount)
        status = await in_thread(self._services, self._services.models.status)
        for model in status.models:
            if f"{model.offer.name}@{model.offer.commit}" == body.model and model.stats is not None:
                return Response(wire.encoded(model.stats), media_type=_JSON)
        raise _not_loaded(body.model)

    async def status(self, request: Request) -> Response:
        await self._read(request, dict[str, str])
        status = await in_thread(self._services, self._services.models.status)
        self._services.speeds.look(status, time.monotonic())
        return Response(wire.encoded(held(status, self._services.speeds)), media_type=_JSON)

    async def unload(self, request: Request) -> Response:
        body = await self._read(request, ToUnload)
        gone = await unload(self._services, body.model, force=body.force)
        if not gone:
            raise _not_loaded(body.model)
        visit_of(request.scope).model = gone[0].name
        return Response(wire.encoded([f"{offer.name}@{offer.commit}" for offer in gone]), media_type=_JSON)

    async def _read(self, request: Request, kind: type[T]) -> T:
        return await read_parsed(request, _Limits(), partial(wire.read, kind=kind))

    async def _ask(self, request: Request, model: str, ask: Callable[[Engine], object]) -> Response:
        visit = visit_of(request.scope)

        def work(lease: Lease) -> bytes:
            visit.model = lease.offer.name
            return wire.encoded(ask(lease.engine))

        return Response(await on_model(self._services, request, model, work), media_type=_JSON)


def _told(handler: Handler) -> Handler:
    """What the program knows as an error is told as that error; the layers before tell the rest."""

    async def handle(request: Request) -> Response:
        if values_of(request.scope, b"origin"):
            raise forbidden("No web page may ask that; it is for programs of the user who runs this server")
        try:
            return await handler(request)
        except Mlxk2Error as error:
            problem = problem_of(error)
            if is_own_failure(problem):
                log_failure(error, visit_of(request.scope).request_id)
            return Response(failed_line(trouble_over(error)), problem.status, media_type=_JSON)

    return handle


def _not_loaded(model: str) -> ModelNotFound:
    return ModelNotFound(f"The server has not loaded '{printable(model)}'; see what it holds with: mlxk2 ps")
