"""Work on a leased model: it is held while that lasts, and let go whatever happens meanwhile."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from mlxk2.adapters.memory import MemoryCache, MemoryEngine
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.entrypoints.http.errors import Problem, Refusal
from mlxk2.entrypoints.http.leasing import on_model
from mlxk2.ports.engine import LoadOptions, Watch, unwatched
from mlxk2.ports.errors import ModelNotFound
from mlxk2.testing import healthy_model, memory_program
from tests.entrypoints.http.program import MODEL, until


class SlowEngine(MemoryEngine):
    """Takes as long to load as `may_load` is not set."""

    def __init__(self) -> None:
        self.may_load = threading.Event()
        super().__init__(lambda prompt: prompt)

    def load(self, options: LoadOptions, watch: Watch = unwatched) -> None:
        self.may_load.wait()
        super().load(options, watch)


@contextmanager
def serving(engine: MemoryEngine, options: HttpOptions) -> Iterator[HttpServices]:
    models = memory_program(MemoryCache([healthy_model(MODEL)]), engine)().serve_models(ServeLimits())
    services = HttpServices(models, options, "1")
    try:
        yield services
    finally:
        models.close()
        services.threads.shutdown()


def within(
    talk: Callable[[HttpServices], Awaitable[None]],
    engine: MemoryEngine | None = None,
    options: HttpOptions | None = None,
) -> None:
    """Runs the conversation on services of its own; an engine that is still held is let go at the end."""

    async def whole(services: HttpServices) -> None:
        try:
            await talk(services)
        finally:
            if isinstance(engine, SlowEngine):
                engine.may_load.set()
                await until(lambda: all(model.offer.state == "loaded" for model in services.models.status().models))

    with serving(engine or MemoryEngine(lambda prompt: prompt), options or HttpOptions()) as services:
        asyncio.run(whole(services))


def request(gone: asyncio.Event | None = None) -> Request:
    """One whose client goes away with the event."""

    async def receive() -> Message:
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


def busy(services: HttpServices) -> int:
    return sum(model.busy for model in services.models.status().models)


def test_the_model_is_held_as_long_as_the_work_lasts() -> None:
    async def talk(services: HttpServices) -> None:
        during = await on_model(services, request(), MODEL, lambda _: busy(services))
        assert (during, busy(services)) == (1, 0)

    within(talk)


def test_what_the_work_raises_lets_the_model_go() -> None:
    def fail(_: object) -> None:
        raise ArithmeticError

    async def talk(services: HttpServices) -> None:
        with pytest.raises(ArithmeticError):
            await on_model(services, request(), MODEL, fail)
        assert busy(services) == 0

    within(talk)


def test_a_model_that_is_not_there_is_told() -> None:
    async def talk(services: HttpServices) -> None:
        with pytest.raises(ModelNotFound):
            await on_model(services, request(), "unknown", lambda lease: lease.offer)

    within(talk)


def test_a_client_that_goes_away_is_not_waited_for() -> None:
    engine = SlowEngine()

    async def talk(services: HttpServices) -> None:
        gone = asyncio.Event()
        waiting = asyncio.create_task(on_model(services, request(gone), MODEL, _never))
        await until(lambda: len(services.running) == 1)
        gone.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        engine.may_load.set()
        await until(lambda: [model.offer.state for model in services.models.status().models] == ["loaded"])
        assert (busy(services), services.running) == (0, set())

    within(talk, engine)


def test_whoever_waits_too_long_is_told() -> None:
    async def talk(services: HttpServices) -> None:
        with pytest.raises(Refusal, match=r"longer than 0\.05 s") as caught:
            await on_model(services, request(), MODEL, _never)
        assert caught.value.problem.status == 504

    within(talk, SlowEngine(), HttpOptions(request_timeout=0.05))


def test_a_server_that_ends_interrupts_whoever_waits() -> None:
    async def talk(services: HttpServices) -> None:
        waiting = asyncio.create_task(on_model(services, request(), MODEL, _never))
        await until(lambda: len(services.running) == 1)
        for one in services.running:
            one.interrupt(Problem(503, "server_error", "The server ends; ask another one"))
        with pytest.raises(Refusal, match="The server ends"):
            await waiting

    within(talk, SlowEngine())


def _never(_: Any) -> None:
    raise AssertionError("nobody waits for this any more")
