"""The `Engine` port over a running server, which keeps the model and answers others, too."""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from mlxk2.adapters.remote.answering import Answering
from mlxk2.adapters.remote.calls import call
from mlxk2.ports.attachment import ToRender
from mlxk2.ports.checking import check_tokens
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, RequestId, Stepped, Watch
from mlxk2.ports.errors import EngineFailure, Mlxk2Error
from mlxk2.ports.generation import Event, Failed, Finished, GenerationRequest, Sink
from mlxk2.ports.servers import RunningServer

T = TypeVar("T")

_CALL_SECONDS = 300.0
"""A tokenizer may take a second for every million bytes, and others may be before us in the line."""
_STATS_SECONDS = 5.0


class RemoteEngine:
    """`model` is `name@commit`, which the server has loaded. Sinks and the watch are called one at a time.

    `stats` counts what the model does for everybody.
    """

    def __init__(self, server: RunningServer, model: str, info: EngineInfo, watch: Watch) -> None:
        self._server = server
        self._model = model
        self._info = info
        self._watch = watch
        self._stats = EngineStats()
        self._numbers = itertools.count(1)
        self._changing = threading.Lock()
        self._telling = threading.Lock()
        self._running: dict[RequestId, Answering] = {}
        self._threads: dict[RequestId, threading.Thread] = {}
        self._is_closed = False

    def info(self) -> EngineInfo:
        return self._info

    def stats(self) -> EngineStats:
        """As the server tells them now; those it told last, where it does not answer."""
        from mlxk2.ports.questions import ToCount

        try:
            self._stats = self._ask("stats", ToCount(self._model), EngineStats, _STATS_SECONDS)
        except Mlxk2Error:
            return self._stats
        return self._stats

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        return self._ask("render", ToRender(self._model, tuple(messages), tuple(tools), options), RenderedPrompt)

    def tokenize(self, text: str) -> list[int]:
        from mlxk2.ports.questions import ToTokenize

        return self._ask("tokenize", ToTokenize(self._model, text), list[int])

    def detokenize(self, tokens: Sequence[int]) -> str:
        from mlxk2.ports.questions import ToDetokenize

        check_tokens("tokens", tuple(tokens), self._info.vocab_size)
        return self._ask("detokenize", ToDetokenize(self._model, tuple(tokens)), str)

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        request_id = next(self._numbers)
        answering = Answering(self._server, self._model, self._info, request)
        thread = threading.Thread(
            target=self._follow, args=(request_id, answering, sink), name="remote-engine", daemon=True
        )
        try:
            with self._changing:
                self._check_open()
                thread.start()
                self._running[request_id] = answering
                self._threads[request_id] = thread
        except Mlxk2Error as error:
            _tell(sink, Failed(error))
        except RuntimeError as error:
            _tell(sink, Failed(EngineFailure(f"The request cannot be followed: {error}; ask again later")))
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        answering = self._running.get(request_id)
        if answering is not None:
            answering.cancel()

    def close(self) -> None:
        """Ends the requests and their threads; the model stays with the server."""
        with self._changing:
            self._is_closed = True
            running, threads = list(self._running.values()), list(self._threads.values())
        for answering in running:
            answering.cancel()
        if threading.current_thread() not in threads:  # a sink may close the engine
            for thread in threads:
                thread.join()

    def _ask(self, path: str, body: object, answer: type[T], patience: float = _CALL_SECONDS) -> T:
        self._check_open()
        return call(self._server, path, body, answer, patience)

    def _check_open(self) -> None:
        if self._is_closed:
            raise EngineFailure("This engine is closed: attach to the server again")

    def _follow(self, request_id: RequestId, answering: Answering, sink: Sink) -> None:
        """The thread of one request."""

        def tell(events: Sequence[Event]) -> bool:
            with self._telling:
                is_heard = all(self._tell(request_id, sink, event) for event in events)
                _tell(self._watch, Stepped(len(self._running)))
                return is_heard

        try:
            answering.follow(tell)
        finally:
            with self._changing:
                del self._threads[request_id]

    def _tell(self, request_id: RequestId, sink: Sink, event: Event) -> bool:
        if isinstance(event, (Finished, Failed)):
            self._forget(request_id)
        is_heard = _tell(sink, event)
        if not is_heard:
            self._forget(request_id)
        return is_heard

    def _forget(self, request_id: RequestId) -> None:
        with self._changing:
            self._running.pop(request_id, None)


def _tell(listener: Callable[[T], None], what: T) -> bool:
    """Whether the sink or watch took it: one that raises, whatever it is, harms nobody else."""
    try:
        listener(what)
    except BaseException:  # noqa: BLE001 - somebody else's code
        return False
    return True
