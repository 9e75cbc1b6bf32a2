"""The thread that owns a model's worker: starts it, notices its end, and starts another when there is work again.

All state belongs to this one thread; others post work into its mailbox. A worker that dies while it works fails its
requests. While one loads again, requests are held; if it dies over that, it gets a second try before they fail.
"""

import selectors
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.ledger import Ledger, tell
from mlxk2.adapters.worker.mailbox import Mailbox
from mlxk2.adapters.worker.session import Lost, Refused, Session
from mlxk2.adapters.worker.watchdog import Patience
from mlxk2.adapters.worker.wire import Body, Unsendable, frame
from mlxk2.ports.checking import check_request
from mlxk2.ports.engine import EngineInfo, EngineStats, RequestId, Watch
from mlxk2.ports.errors import EngineFailure, Mlxk2Error, ValidationError
from mlxk2.ports.generation import Failed, GenerationRequest, Sink

_TRIES = 2
"""So often in a row a worker may die while it loads the model again."""
_LONGEST_TURN = 1.0
"""Seconds; so often, at least, a running worker is looked after."""


class Supervisor:
    """`open` comes first; afterwards every method may be called from any thread."""

    def __init__(self, command: Sequence[str], load: protocol.Load, patience: Patience, watch: Watch) -> None:
        self._command = command
        self._load = load
        self._patience = patience
        self._watch = watch
        self._turn_seconds = min(_LONGEST_TURN, patience.silence / 4, patience.hang / 4)
        self._mailbox = Mailbox()
        self._selector = selectors.DefaultSelector()
        self._ledger = Ledger()
        self._opened: Future[EngineInfo] = Future()
        self._session: Session | None = None
        self._launches = 0
        self._deaths_in_load = 0
        self._deadline: float | None = None
        self._over = False
        self._thread = threading.Thread(target=self._run, name="worker-supervisor", daemon=True)

    def open(self) -> EngineInfo:
        """Load the model for the first time; raises what keeps it from being loaded."""
        self._thread.start()
        self._mailbox.post(self._launch)
        return self._opened.result()

    def start(self, request_id: RequestId, request: GenerationRequest, sink: Sink) -> None:
        self._mailbox.post(lambda: self._begin(request_id, request, sink))

    def cancel(self, request_id: RequestId) -> None:
        self._mailbox.post(lambda: self._cancel(request_id))

    def ask(self, call_id: int, packet: bytes, answer: Body[Any], future: "Future[Any]") -> None:
        """Send a call; `future` gets its answer, or the error that it ended with."""
        self._mailbox.post(lambda: self._ask(call_id, packet, answer, future))

    def stats(self) -> EngineStats:
        """The worker's numbers, as it told them last; while none is ready, how many requests wait."""
        session = self._session
        ready = session is not None and session.is_ready
        stats = session.stats if session is not None and ready else EngineStats(waiting=self._ledger.requests)
        return replace(stats, restarts=stats.restarts + max(0, self._launches - 1))

    def close(self) -> None:
        self._mailbox.post(self._begin_to_close)
        if not self.is_calling:  # a sink may close the engine
            self._thread.join()

    @property
    def is_calling(self) -> bool:
        """Whether this is the thread that every answer has to come through: in a sink or a watch."""
        return threading.current_thread() is self._thread

    @property
    def process_id(self) -> int | None:
        session = self._session
        return None if session is None else session.process_id

    # What follows runs in the supervisor's thread; or anywhere once that has ended, when nothing is changed any more.

    @property
    def _is_closing(self) -> bool:
        return self._over or self._deadline is not None

    def _run(self) -> None:
        self._selector.register(self._mailbox, selectors.EVENT_READ, self._work)
        try:
            while not self._over:
                self._turn()
        finally:
            self._over = True
            self._end_session(_closed())
            self._selector.close()
            for work in self._mailbox.close():
                work()

    def _turn(self) -> None:
        try:
            for key, mask in self._wait():
                key.data(mask)
            if self._session is not None:
                self._look_after(self._session)
        except Lost as lost:
            self._on_lost(str(lost))
        except Refused as refused:
            self._end_session(refused.error)

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        if self._session is None:
            return self._selector.select()
        writing = selectors.EVENT_WRITE if self._session.child.has_unsent else 0
        self._selector.modify(self._session.child.socket, selectors.EVENT_READ | writing, self._session.attend)
        return self._selector.select(self._turn_seconds)

    def _work(self, mask: int) -> None:
        del mask
        for work in self._mailbox.take():
            work()

    def _look_after(self, session: Session) -> None:
        if session.info is not None and not self._opened.done():
            self._opened.set_result(session.info)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Lost("did not close when asked to and was stopped")
        session.inspect()

    def _launch(self) -> None:
        self._launches += 1
        try:
            session = Session(self._command, self._load, self._patience, self._ledger, self._watch)
        except Refused as refused:
            self._give_up(refused.error)
            return
        self._session = session
        self._selector.register(session.child.socket, selectors.EVENT_READ, session.attend)
        self._selector.register(session.child.output, selectors.EVENT_READ, lambda _: self._listen(session))

    def _listen(self, session: Session) -> None:
        if not session.child.listen():
            self._selector.unregister(session.child.output)

    def _on_lost(self, how: str) -> None:
        session = self._session
        if session is None:
            return
        session.child.kill()
        self._deaths_in_load = 0 if session.is_ready else self._deaths_in_load + 1
        if 0 < self._deaths_in_load < _TRIES and self._opened.done() and not self._is_closing:
            self._session = None
            self._bury(session)
            self._launch()
        else:
            self._end_session(_closed() if self._is_closing else _failure(session, how))

    def _end_session(self, error: Mlxk2Error) -> None:
        """Whoever waits is told before the process is buried: a large one takes a while to leave memory."""
        session, self._session = self._session, None
        self._give_up(error)
        if session is not None:
            self._bury(session)
        self._over = self._is_closing

    def _bury(self, session: Session) -> None:
        for watched in (session.child.socket, session.child.output):
            with suppress(KeyError):
                self._selector.unregister(watched)
        session.child.bury()

    def _give_up(self, error: Mlxk2Error) -> None:
        """Nobody who waits now is answered any more."""
        self._deaths_in_load = 0
        if not self._opened.done():
            self._opened.set_exception(error)
        if self._is_closing:
            self._ledger.cancel_all(error)
        else:
            self._ledger.fail_all(error)

    def _begin(self, request_id: RequestId, request: GenerationRequest, sink: Sink) -> None:
        try:
            if self._is_closing:
                raise _closed()
            check_request(request, self._opened.result())
            packet = frame(protocol.START, request_id, request)
        except Mlxk2Error as error:
            tell(sink, Failed(error))
        except Unsendable as error:
            tell(sink, Failed(ValidationError(f"The request cannot be passed on to the model: {error}")))
        else:
            self._ledger.add_request(request_id, request, sink)
            self._send(request_id, packet)

    def _ask(self, call_id: int, packet: bytes, answer: Body[Any], future: "Future[Any]") -> None:
        if self._is_closing:
            future.set_exception(_closed())
            return
        self._ledger.add_call(call_id, answer, future)
        self._send(call_id, packet)

    def _send(self, number: int, packet: bytes) -> None:
        if self._session is not None and self._session.is_ready:
            self._session.child.send(packet)
            return
        self._ledger.held[number] = packet
        if self._session is None:
            self._launch()

    def _cancel(self, request_id: RequestId) -> None:
        if request_id in self._ledger.held:
            self._ledger.cancel(request_id)
        elif self._session is not None and self._ledger.knows(request_id):
            self._session.child.send(frame(protocol.CANCEL, request_id))

    def _begin_to_close(self) -> None:
        if self._is_closing:
            return
        self._deadline = time.monotonic() + self._patience.close
        if self._session is None:
            self._over = True
        elif self._session.is_ready:
            self._session.child.send(frame(protocol.CLOSE, 0))
        else:
            self._on_lost("was closed while it loaded the model")


def _closed() -> EngineFailure:
    return EngineFailure("This engine is closed: load the model again")


def _failure(session: Session, how: str) -> EngineFailure:
    details = session.child.last_words()
    if session.is_ready:
        message = f"The model's process {how}: send the request again, and a new process loads the model"
    else:
        message = f"The model's process {how} while it loaded the model: try again, or take a smaller model"
    return EngineFailure(message, details=details)
