"""Loading and unloading models on an operator's word."""

import asyncio
import re
from functools import partial
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mlxk2.domain.usecases.serve_models import ModelStatus, Offer
from mlxk2.entrypoints.http.bodies import read_json_body
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import refusal
from mlxk2.entrypoints.http.identity import visit_of
from mlxk2.entrypoints.http.logs import log_trouble
from mlxk2.entrypoints.http.operating.looking import in_thread
from mlxk2.entrypoints.http.operating.wire import LoadBody, Models, UnloadBody, states_of
from mlxk2.ports.errors import Mlxk2Error

T = TypeVar("T")

_JSON = "application/json"
_PLACE = re.compile(r"`\$\.?(\w+)`$|field `(\w+)`$")


class Keeping:
    """What `/v1/models/load` and `/v1/models/unload` do. A client that leaves does not stop a load."""

    def __init__(self, services: HttpServices) -> None:
        self._services = services

    async def load(self, request: Request) -> Response:
        body = decode(await read_json_body(request, self._services.options), LoadBody)
        offer = await self._find(body.model)
        visit_of(request.scope).model = offer.name
        if not body.wait:
            self._services.models.load(body.model, _write_down)
            return await self._told([offer], status=202)
        error = await self._loaded(body.model)
        if error is not None:
            raise error
        return await self._told([offer])

    async def unload(self, request: Request) -> Response:
        body = decode(await read_json_body(request, self._services.options), UnloadBody)
        return await self._told(await unload(self._services, body.model, force=body.force))

    async def _loaded(self, reference: str) -> Mlxk2Error | None:
        mailbox = self._services.mailbox()
        done: asyncio.Future[Mlxk2Error | None] = asyncio.get_running_loop().create_future()

        def over(error: Mlxk2Error | None) -> None:
            if not done.done():
                done.set_result(error)

        self._services.models.load(reference, lambda error: mailbox.post(partial(over, error)))
        return await done

    async def _find(self, reference: str) -> Offer:
        return await in_thread(self._services, partial(self._services.models.find, reference))

    async def _told(self, offers: list[Offer], status: int = 200) -> Response:
        now = await in_thread(self._services, self._services.models.status)
        found: Models = states_of(offers, now)
        return Response(msgspec.json.encode(found), status, media_type=_JSON)


async def unload(services: HttpServices, reference: str, *, force: bool) -> list[Offer]:
    """The models that went: none when none was in memory. Raises as `ServeModels.unload`."""
    before = await in_thread(services, services.models.status)
    await in_thread(services, partial(services.models.unload, reference, force=force))
    after = await in_thread(services, services.models.status)
    return [model.offer for model in before.models if _has_gone(model, after.models)]


def _write_down(error: Mlxk2Error | None) -> None:
    """Nobody waits who could be told."""
    if error is not None:
        log_trouble(f"A model could not be loaded: {error.message}")


def decode(body: bytes, wanted: type[T]) -> T:
    """Raises Refusal that names the parameter."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        raise refusal(f"{error}; correct the body", found and (found[1] or found[2])) from None
    except msgspec.DecodeError as error:
        raise refusal(f"The body is no valid JSON: {error}", code="invalid_json") from None


def _has_gone(model: ModelStatus, after: tuple[ModelStatus, ...]) -> bool:
    """Whether it was in memory before, and now is not, or is on its way out."""
    if model.offer.state == "unloading":
        return False
    key = (model.offer.name, model.offer.commit)
    return all((now.offer.name, now.offer.commit) != key or now.offer.state == "unloading" for now in after)
