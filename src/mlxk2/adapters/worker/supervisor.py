"""The thread that owns a model's workers. All state belongs to it; other threads post work into its mailbox.

Nobody waits for ever: whatever ends the thread, even a defect of this program, fails those who wait and who come later.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.failures import unexpected
from mlxk2.adapters.worker.ledger import tell
from mlxk2.adapters.worker.mailbox import Mailbox
from mlxk2.adapters.worker.succession import Succession, closed
from mlxk2.adapters.worker.watchdog import Patience
from mlxk2.adapters.worker.wire import Body
from mlxk2.ports.engine import EngineInfo, EngineStats, RequestId, Watch
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Failed, GenerationRequest, Sink


class Supervisor:
    """`open` comes first; afterwards every method may be called from any thread."""

    def __init__(self, command: Sequence[str], load: protocol.Load, patience: Patience, watch: Watch) -> None:
        self._mailbox = Mailbox()
        self._workers = Succession(command, load, patience, watch)
        self._thread = threading.Thread(target=self._run, name="worker-supervisor", daemon=True)

    def open(self) -> EngineInfo:
        """Load the model for the first time; raises what keeps it from being loaded."""
        self._thread.start()
        self._mailbox.post(self._workers.launch)
        return self._workers.opened.result()

    def start(self, request_id: RequestId, packet: bytes, request: GenerationRequest, sink: Sink) -> None:
        """Send a request that has been found good."""
        self._mailbox.post(lambda: self._begin(request_id, packet, request, sink))

    def refuse(self, sink: Sink, error: Mlxk2Error) -> None:
        """Tell the sink that its request is wrong."""
        self._mailbox.post(lambda: _fail(sink, error))

    def cancel(self, request_id: RequestId) -> None:
        self._mailbox.post(lambda: self._workers.cancel(request_id))

    def ask(self, call_id: int, packet: bytes, answer: Body[Any], future: "Future[Any]") -> None:
        """Send a call; `future` gets its answer, or the error that it ended with."""
        self._mailbox.post(lambda: self._ask(call_id, packet, answer, future))

    def stats(self) -> EngineStats:
        """The worker's numbers, as it told them last; while none is ready, how many requests wait."""
        session = self._workers.session
        ready = session is not None and session.is_ready
        stats = session.stats if session is not None and ready else EngineStats(waiting=self._workers.ledger.requests)
        return stats._replace(restarts=stats.restarts + max(0, self._workers.launches - 1))

    def close(self) -> None:
        self._mailbox.post(self._workers.begin_to_close)
        if not self.is_calling:  # a sink may close the engine
            self._thread.join()

    @property
    def is_calling(self) -> bool:
        """Whether this is the thread that every answer has to come through: in a sink or a watch."""
        return threading.current_thread() is self._thread

    @property
    def process_id(self) -> int | None:
        session = self._workers.session
        return None if session is None else session.process_id

    # What follows runs in the supervisor's thread; or anywhere once that has ended, when nothing is changed any more.

    def _run(self) -> None:
        try:
            self._workers.attend(self._mailbox, self._work)
            while not self._workers.is_over:
                self._workers.turn()
        except BaseException as error:  # noqa: BLE001 - nobody may wait for ever, whatever it is
            self._workers.fail(unexpected(error))
        finally:
            try:
                self._workers.end()
            finally:
                for work in self._mailbox.close():
                    work()

    def _work(self, mask: int) -> None:
        del mask
        for work in self._mailbox.take():
            work()

    def _begin(self, request_id: RequestId, packet: bytes, request: GenerationRequest, sink: Sink) -> None:
        if self._workers.is_closing:
            _fail(sink, closed())
        else:
            self._workers.ledger.add_request(request_id, request, sink)
            self._workers.send(request_id, packet)

    def _ask(self, call_id: int, packet: bytes, answer: Body[Any], future: "Future[Any]") -> None:
        if self._workers.is_closing:
            future.set_exception(closed())
        else:
            self._workers.ledger.add_call(call_id, answer, future)
            self._workers.send(call_id, packet)


def _fail(sink: Sink, error: Mlxk2Error) -> None:
    tell(sink, Failed(error))
