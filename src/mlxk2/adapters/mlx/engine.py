"""One loaded model in a thread of its own, which alone touches MLX (docs/ADR/0005, docs/ADR/0009).

Only plain Python values cross the thread's border. Chat templates and tokenizing run in the caller's thread, compiling
a structure in others: neither holds up a step.
"""

import atexit
import itertools
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from mlxk2.adapters.mlx.compilers import Compilers, Job
from mlxk2.adapters.mlx.core import Core
from mlxk2.adapters.mlx.loading import LoadedModel, end_streams, load_model, wired_memory
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.structures import Matcher
from mlxk2.ports.checking import check_request
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, Loading, LoadOptions, RequestId, Stepped, Watch, unwatched
from mlxk2.ports.errors import EngineFailure, Mlxk2Error
from mlxk2.ports.generation import Failed, FinishReason, GenerationRequest, Sink, Structure
from mlxk2.ports.system import Machine

_CLOSED = "The engine is closed; load the model again"
_open: "weakref.WeakSet[MlxEngine]" = weakref.WeakSet()


@atexit.register
def _close_what_is_open() -> None:
    """A process that ends while a thread of MLX lives is aborted."""
    for engine in list(_open):
        engine.close()


class MlxEngine:
    """The `Engine` port in this process. Made by `MlxEngineLoader`, which hands it the function that loads."""

    def __init__(
        self, load: Callable[[], LoadedModel], options: LoadOptions, machine: Machine, watch: Watch = unwatched
    ) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._closing = threading.Lock()
        self._closed = False
        self._compiling: dict[RequestId, Row] = {}
        self._compilers = Compilers()
        self._watch = watch
        ready: Future[Core] = Future()
        make = partial(Core, load, options, machine, lambda stage: self._tell(Loading(stage)), self._stepped)
        self._thread = threading.Thread(target=self._work, args=(make, ready), name="mlx-engine", daemon=True)
        self._thread.start()
        try:
            self._core = ready.result()
            _open.add(self)
        except BaseException:  # Ctrl-C as well, which does not wait until the model is loaded
            self._begin_to_close()
            raise

    def info(self) -> EngineInfo:
        return self._core.info

    def stats(self) -> EngineStats:
        stats = self._core.stats()
        return stats._replace(waiting=stats.waiting + len(self._compiling))

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        return self._core.text.render(messages, tools, options)

    def tokenize(self, text: str) -> list[int]:
        return self._core.text.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._core.text.detokenize(tokens)

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        request_id = next(self._ids)
        try:
            check_request(request, self._core.info)
        except Mlxk2Error as error:
            failed = Failed(error)  # the name of a caught exception does not outlive its block
            self._post(lambda: _say(sink, failed), otherwise=lambda: _say(sink, failed))
            return request_id
        row = Row(request_id, request, sink, limit=self._core.limit(request))
        self._post(lambda: self._begin(row), otherwise=lambda: row.fail(EngineFailure(_CLOSED)))
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        self._post(lambda: self._cancel(request_id))

    def close(self) -> None:
        self._begin_to_close()
        if threading.current_thread() is not self._thread:  # a sink may close the engine
            self._thread.join()

    def _begin_to_close(self) -> None:
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(lambda: None)  # wakes the thread, which then sees that it is the last job

    def _post(self, job: Job, otherwise: Job = lambda: None) -> None:
        """Let the engine's thread do it; when that has ended or is about to, do the other thing here."""
        with self._closing:
            if not self._closed:
                self._jobs.put(job)
                return
        otherwise()

    def _work(self, make: Callable[[], Core], ready: "Future[Core]") -> None:
        try:
            core = make()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it, whatever it is
            ready.set_exception(error)
            end_streams()
            return
        ready.set_result(core)
        try:
            self._serve(core)
        except BaseException as error:  # noqa: BLE001 - nobody may wait for ever, whatever it is
            self._begin_to_close()
            broken = EngineFailure(f"The engine broke: {error or type(error).__name__}; load the model again")
            for row in [*core.rows, *self._compiling.values()]:
                row.fail(broken)
            core.close(broken)
            with suppress(queue.Empty):  # what was posted before it broke: requests hear the same from the core
                while True:
                    self._jobs.get(block=False)()
        finally:
            self._compilers.close()
            core.close()
            end_streams()

    def _tell(self, seen: Loading | Stepped) -> None:
        """Whoever watches does not stop what is watched."""
        with suppress(Exception):
            self._watch(seen)

    def _stepped(self, busy: int) -> None:
        self._tell(Stepped(busy + len(self._compiling)))

    def _serve(self, core: Core) -> None:
        with wired_memory():
            while self._do_jobs(core):
                core.turn()
                self._stepped(core.busy)
        for row in [*core.rows, *self._compiling.values()]:
            row.finish(FinishReason.CANCELLED)

    def _do_jobs(self, core: Core) -> bool:
        """What was posted since the last turn; waits for something when there is no turn to take. False: the end."""
        while True:
            try:
                if not core.busy and self._jobs.empty():
                    core.rest()
                job = self._jobs.get(block=not core.busy)
            except queue.Empty:
                return True
            job()
            if self._closed and self._jobs.empty():
                return False

    def _begin(self, row: Row) -> None:
        structure = row.request.structure
        if structure is None:
            self._core.add(row)
        else:
            self._compiling[row.id] = row
            self._compilers.submit(lambda: self._compile(row, structure))

    def _compile(self, row: Row, structure: Structure) -> None:
        """In a thread of the compilers; nothing is done for a request that was cancelled meanwhile."""
        if row.id not in self._compiling:
            return
        result: Matcher | Mlxk2Error
        try:
            result = self._core.compile(structure)
        except Mlxk2Error as error:
            result = error
        except BaseException as error:  # noqa: BLE001 - one request's structure; what is written in Rust may panic
            result = EngineFailure(f"The structure could not be compiled: {error}", details=type(error).__name__)
        self._post(lambda: self._compiled(row, result))

    def _compiled(self, row: Row, result: Matcher | Mlxk2Error) -> None:
        if self._compiling.pop(row.id, None) is None:
            return
        if isinstance(result, Mlxk2Error):
            row.fail(result)
        else:
            row.matcher = result
            self._core.add(row)

    def _cancel(self, request_id: RequestId) -> None:
        row = self._compiling.pop(request_id, None)
        if row:
            row.finish(FinishReason.CANCELLED)
        else:
            self._core.cancel(request_id)


class MlxEngineLoader:
    """The `EngineLoader` port."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> MlxEngine:
        self._machine.reuse_memory()
        return MlxEngine(lambda: load_model(location, options, self._machine), options, self._machine, watch)


def _say(sink: Sink, event: Failed) -> None:
    with suppress(Exception):  # a sink that raises harms nobody but itself, and this was its last event
        sink(event)
