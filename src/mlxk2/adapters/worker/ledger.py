"""Who waits for a worker: requests with their sinks, calls with their futures, and what could not be sent yet.

It belongs to one thread. Every request hears of its end once, every call is answered or fails, whatever happens.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from mlxk2.adapters.worker.wire import Body
from mlxk2.ports.engine import RequestId
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, GenerationRequest, Sink

T = TypeVar("T")


class _Answering:
    """A request, and as much of its answer as it takes to say where it was cancelled."""

    def __init__(self, request: GenerationRequest, sink: Sink) -> None:
        self.sink = sink
        self.prompt_tokens = len(request.prompt)
        self.generated_tokens = 0
        self.started = time.monotonic()
        self.first_token_seconds = 0.0

    def see(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.first_token_seconds = self.first_token_seconds or time.monotonic() - self.started
            self.generated_tokens = event.generated_tokens

    def cancelled(self) -> Finished:
        elapsed = time.monotonic() - self.started
        return Finished(
            FinishReason.CANCELLED, self.prompt_tokens, self.generated_tokens, self.first_token_seconds, elapsed
        )


class _Call:
    def __init__(self, answer: Body[Any], future: "Future[Any]") -> None:
        self.answer = answer
        self.future = future
        self.asked = time.monotonic()


class Ledger:
    """Requests and calls are numbered from one series. `held` are the packets that wait for a worker, by number."""

    def __init__(self) -> None:
        self._requests: dict[RequestId, _Answering] = {}
        self._calls: dict[int, _Call] = {}
        self._answered = -math.inf
        self.held: dict[int, bytes] = {}

    @property
    def requests(self) -> int:
        """How many wait."""
        return len(self._requests)

    @property
    def asked(self) -> float | None:
        """Since when, on the monotonic clock, the worker has been at the call whose turn it is: it takes one by one."""
        return next((max(call.asked, self._answered) for call in self._calls.values()), None)

    def add_request(self, request_id: RequestId, request: GenerationRequest, sink: Sink) -> None:
        self._requests[request_id] = _Answering(request, sink)

    def add_call(self, call_id: int, answer: Body[Any], future: "Future[Any]") -> None:
        self._calls[call_id] = _Call(answer, future)

    def knows(self, request_id: RequestId) -> bool:
        return request_id in self._requests

    def release(self) -> bytes:
        """What was held back, to be sent now; calls are waited for from now on."""
        packets = b"".join(self.held.values())
        self.held.clear()
        for call in self._calls.values():
            call.asked = time.monotonic()
        return packets

    def deliver(self, request_id: RequestId, event: Event) -> bool:
        """Hand an event to its sink, if somebody still waits for it; False when the sink raised and hears no more."""
        waiting = self._requests.get(request_id)
        if waiting is None:
            return True
        waiting.see(event)
        if isinstance(event, (Finished, Failed)):
            del self._requests[request_id]
        if tell(waiting.sink, event):
            return True
        self._requests.pop(request_id, None)
        return False

    def answer(self, call_id: int, body: bytes) -> None:
        """Raises BrokenStream when the body is no answer to that call."""
        if call_id in self._calls:
            answer = self._calls[call_id].answer.read(body)
            self._end(call_id).set_result(answer)

    def refuse(self, call_id: int, error: Mlxk2Error) -> None:
        if call_id in self._calls:
            self._end(call_id).set_exception(error)

    def cancel(self, request_id: RequestId) -> None:
        """End a request here, whatever the worker makes of it."""
        self.held.pop(request_id, None)
        self.deliver(request_id, self._requests[request_id].cancelled())

    def fail_all(self, error: Mlxk2Error) -> None:
        self._end_all(lambda _: Failed(error), error)

    def cancel_all(self, error: Mlxk2Error) -> None:
        """The requests are cancelled; calls, which cannot be, fail with `error`."""
        self._end_all(lambda waiting: waiting.cancelled(), error)

    def _end(self, call_id: int) -> "Future[Any]":
        self._answered = time.monotonic()
        return self._calls.pop(call_id).future

    def _end_all(self, last: Callable[[_Answering], Event], error: Mlxk2Error) -> None:
        self.held.clear()
        for request_id, waiting in list(self._requests.items()):
            self.deliver(request_id, last(waiting))
        for call_id in list(self._calls):
            self.refuse(call_id, error)


def tell(listener: Callable[[T], None], what: T) -> bool:
    """Whether the sink or watch took it: one that raises, whatever it is, harms nobody else."""
    try:
        listener(what)
    except BaseException:  # noqa: BLE001 - somebody else's code
        return False
    return True
