"""Work on a loaded model that is no answer, such as counting tokens: the model is held as long as that takes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused, Told
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Problem, Refusal
from mlxk2.ports.errors import Overloaded

T = TypeVar("T")


async def on_model(services: HttpServices, request: Request, reference: str, work: Callable[[Lease], T]) -> T:
    """What `work` returns, called in a thread once the model is there; it waits for engines and not for others.

    Raises what `work` raises, Refusal and every Mlxk2Error when there is no model, Refusal when it takes longer than a
    request may, ClientDisconnect when the client has gone away.
    """
    visit: _Visit[T] = _Visit(services, work)
    services.running.add(visit)
    watch = asyncio.create_task(_watch(request.receive, visit))
    want = services.models.want(reference, visit.hear)
    seconds = services.options.request_timeout
    try:
        async with asyncio.timeout(seconds):
            return await visit.result
    except TimeoutError:
        message = f"The request took longer than {seconds:g} s, this server's limit; try again later"
        raise Refusal(Problem(504, "timeout_error", message)) from None
    finally:
        watch.cancel()
        services.running.discard(visit)
        services.models.give_up(want)


class _Visit(Generic[T]):
    """One piece of work on its way to a model. The lease ends with the want that it came of."""

    def __init__(self, services: HttpServices, work: Callable[[Lease], T]) -> None:
        self._services = services
        self._mailbox = services.mailbox()
        self._work = work
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def hear(self, told: Told) -> None:
        """In any thread."""
        if isinstance(told, Refused):
            self._mailbox.post(partial(self.fail, told.error))
        elif not isinstance(told, LoadProgress):
            self._mailbox.post(partial(self._begin, told))

    def interrupt(self, problem: Problem) -> None:
        self.fail(Refusal(problem))

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)

    def _succeed(self, result: T) -> None:
        if not self.result.done():
            self.result.set_result(result)

    def _begin(self, lease: Lease) -> None:
        try:
            self._services.model_threads.run(lease.offer.name, partial(self._do, lease))
        except Overloaded as error:
            self.fail(error)

    def _do(self, lease: Lease) -> None:
        """In a thread; nothing is done that nobody waits for any more."""
        if self.result.done():
            return
        try:
            result = self._work(lease)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's
            self._mailbox.post(partial(self.fail, error))
        else:
            self._mailbox.post(partial(self._succeed, result))


async def _watch(receive: Receive, visit: "_Visit[T]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    visit.fail(ClientDisconnect())
