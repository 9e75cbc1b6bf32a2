"""Work on a loaded model that is no answer, such as counting tokens: the model is held as long as that takes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused, Told
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Problem, Refusal

T = TypeVar("T")
E = TypeVar("E")


async def on_model(services: HttpServices, request: Request, reference: str, work: Callable[[Lease], T]) -> T:
    """What `work` returns, called in a thread once the model is there; it waits for engines and not for others.

    Raises what `work` raises, Refusal and every Mlxk2Error when there is no model, ClientDisconnect when the client
    went away before there was one.
    """
    lease = await _leased(services, request, reference)
    try:
        return await _worked(services, lease, work)
    finally:
        lease.release()


async def _worked(services: HttpServices, lease: Lease, work: Callable[[Lease], T]) -> T:
    mailbox = services.mailbox()
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def tell(set_end: Callable[[E], None], end: E) -> None:
        if not done.done():
            set_end(end)

    def begin() -> None:
        try:
            result = work(lease)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's
            mailbox.post(partial(tell, done.set_exception, error))
        else:
            mailbox.post(partial(tell, done.set_result, result))

    services.model_threads.run(lease.offer.name, begin)
    return await done


async def _leased(services: HttpServices, request: Request, reference: str) -> Lease:
    waiting, mailbox = _Waiting(), services.mailbox()
    want = services.models.want(reference, lambda told: mailbox.post(partial(waiting.hear, told)))
    services.running.add(waiting)
    watch = asyncio.create_task(_watch(request.receive, waiting))
    seconds = services.options.request_timeout
    try:
        async with asyncio.timeout(seconds):
            return await waiting.lease
    except BaseException as error:
        services.models.give_up(want)
        if not isinstance(error, TimeoutError):
            raise
        message = f"The model was not there within {seconds:g} s, this server's limit; try again later"
        raise Refusal(Problem(504, "timeout_error", message)) from None
    finally:
        watch.cancel()
        services.running.discard(waiting)


class _Waiting:
    """One request that waits for a model; a lease that comes too late is given back."""

    def __init__(self) -> None:
        self.lease: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()

    def hear(self, told: Told) -> None:
        if isinstance(told, LoadProgress):
            return
        if isinstance(told, Refused):
            self.fail(told.error)
        elif self.lease.done():
            told.release()
        else:
            self.lease.set_result(told)

    def interrupt(self, problem: Problem) -> None:
        self.fail(Refusal(problem))

    def fail(self, error: Exception) -> None:
        if not self.lease.done():
            self.lease.set_exception(error)


async def _watch(receive: Receive, waiting: _Waiting) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.fail(ClientDisconnect())
