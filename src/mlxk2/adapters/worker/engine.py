"""The `Engine` and `EngineLoader` ports over a child process: what callers see of a supervisor."""

import itertools
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.failures import unexpected
from mlxk2.adapters.worker.protocol import Call
from mlxk2.adapters.worker.supervisor import Supervisor
from mlxk2.adapters.worker.watchdog import ORDINARY_PATIENCE, Patience
from mlxk2.adapters.worker.wire import LARGEST_CALL, Unsendable, frame
from mlxk2.ports.checking import check_request
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, Loading, LoadOptions, RequestId, Stepped, Watch, unwatched
from mlxk2.ports.errors import Mlxk2Error, OperationError, ValidationError
from mlxk2.ports.generation import GenerationRequest, Sink

T = TypeVar("T")

WORKER_COMMAND = (sys.executable, "-P", "-m", "mlxk2.worker_main")
"""Serves MLX models. `-P`: files in the current folder are no modules."""


class WorkerEngine:
    """A model in a process of its own. Made by `WorkerLoader`.

    When the process dies, requests and calls fail with `EngineFailure`; the next request or call loads the model again,
    and waits for it without blocking its caller.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._numbers = itertools.count(1)
        self._info = supervisor.open()

    @property
    def process_id(self) -> int | None:
        """The system's number for the worker, as the worker says it; None while there is none."""
        return self._supervisor.process_id

    def info(self) -> EngineInfo:
        return self._info

    def stats(self) -> EngineStats:
        """As the worker told them last; while none runs, nothing but how many requests wait. Starts no worker."""
        return self._supervisor.stats()

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        return self._ask(protocol.RENDER, protocol.Render(list(messages), list(tools), options))

    def tokenize(self, text: str) -> list[int]:
        return self._ask(protocol.TOKENIZE, text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._ask(protocol.DETOKENIZE, list(tokens))

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        request_id = next(self._numbers)
        try:
            check_request(request, self._info)
            packet = frame(protocol.START, request_id, request)
        except Mlxk2Error as error:
            self._supervisor.refuse(sink, error)
        except Unsendable as error:
            self._supervisor.refuse(sink, ValidationError(f"The request cannot be passed on to the model: {error}"))
        except Exception as error:  # noqa: BLE001 - the port: nothing is raised here, whatever the request is
            self._supervisor.refuse(sink, unexpected(error))
        else:
            self._supervisor.start(request_id, packet, request, sink)
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        self._supervisor.cancel(request_id)

    def close(self) -> None:
        self._supervisor.close()

    def _ask(self, call: Call[T], arguments: object) -> T:
        if self._supervisor.is_calling:
            raise OperationError(
                f"A sink or a watch cannot wait for {call.kind}, whose answer comes through its own thread: hand the"
                " event to another thread and call from there"
            )
        call_id = next(self._numbers)
        try:
            packet = frame(call.kind, call_id, arguments, LARGEST_CALL)
        except Unsendable as error:
            raise ValidationError(f"This cannot be passed on to the model: {error}") from None
        future: Future[T] = Future()
        self._supervisor.ask(call_id, packet, call.answer, future)
        return future.result()


class WorkerLoader:
    """The `EngineLoader` port. `command` starts a program that serves a model on the socket that `--fd` names."""

    def __init__(self, command: Sequence[str] = WORKER_COMMAND, patience: Patience = ORDINARY_PATIENCE) -> None:
        self._command = command
        self._patience = patience

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> WorkerEngine:
        def show(seen: Loading | Stepped) -> None:
            watch(replace(seen, abort=supervisor.close) if isinstance(seen, Loading) else seen)

        wanted = protocol.Load(os.fsencode(location), options)
        supervisor = Supervisor(self._command, wanted, self._patience, show)
        try:
            return WorkerEngine(supervisor)
        except BaseException:
            supervisor.close()
            raise
