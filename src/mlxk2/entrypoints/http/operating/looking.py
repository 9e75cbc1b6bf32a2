"""Is the server alive, can it answer, and its numbers. None of these waits for a model or makes one load."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mlxk2.domain.usecases.serve_models import ModelStatus, PoolStatus
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.metrics import MEDIA_TYPE
from mlxk2.entrypoints.http.operating.wire import Alive, Progress, Readiness

T = TypeVar("T")

_JSON = "application/json"
_AGAIN = {"retry-after": "1"}


class Looking:
    """The looks at a server, from its start on."""

    def __init__(self, services: HttpServices) -> None:
        self._services = services
        self._since: dict[tuple[str, str], float] = {}
        self._alive = msgspec.json.encode(Alive(services.version))

    async def health(self, _: Request) -> Response:
        """Always the same, and asks nobody."""
        return Response(self._alive, media_type=_JSON)

    async def ready(self, _: Request) -> Response:
        status = await in_thread(self._services, self._services.models.status)
        found = self._judge(status, time.monotonic())
        body = msgspec.json.encode(found)
        if found.status == "ready":
            return Response(body, media_type=_JSON)
        return Response(body, 503, _AGAIN, _JSON)

    async def metrics(self, _: Request) -> Response:
        text = await in_thread(self._services, self._services.metrics.text)
        return Response(text, headers={"content-type": MEDIA_TYPE})

    def _judge(self, status: PoolStatus, now: float) -> Readiness:
        """With models to be loaded from the start, one of them has to be there; otherwise the first request loads."""
        loading = self._progress(status, now)
        if self._services.draining:
            return Readiness("draining", loading)
        if any(model.offer.state == "loaded" for model in status.models) or not self._services.preloading:
            return Readiness("ready", loading)
        return Readiness("loading" if loading else "starting", loading)

    def _progress(self, status: PoolStatus, now: float) -> list[Progress]:
        models = [model for model in status.models if model.offer.state == "loading"]
        self._since = {_key(model): self._since.get(_key(model), now) for model in models}
        return [Progress(model.offer.name, model.stage, round(now - self._since[_key(model)], 3)) for model in models]


async def in_thread(services: HttpServices, work: Callable[[], T]) -> T:
    """What may wait for a lock or the disk waits in one of the server's threads."""
    return await asyncio.get_running_loop().run_in_executor(services.threads, work)


def _key(model: ModelStatus) -> tuple[str, str]:
    return model.offer.name, model.offer.commit
