"""The workers of one model, one after the other: starts one when there is work, notices its end, starts the next.

It belongs to one thread, whose every turn waits for something to happen. A worker that dies while it works fails its
requests. While one loads again, packets are held; if it dies over that, there is a second try before those who wait
fail.
"""

import selectors
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.ledger import Ledger
from mlxk2.adapters.worker.mailbox import Mailbox
from mlxk2.adapters.worker.session import Lost, Refused, Session
from mlxk2.adapters.worker.watchdog import Patience
from mlxk2.adapters.worker.wire import frame
from mlxk2.ports.engine import EngineInfo, RequestId, Watch
from mlxk2.ports.errors import EngineFailure, Mlxk2Error

_TRIES = 2
"""So often in a row a worker may die while it loads the model again."""
_LONGEST_TURN = 1.0
"""Seconds; so often, at least, a running worker is looked after."""


class Succession:
    """`opened` is what the first worker says of its model, or why there is none; `launches` counts the workers."""

    def __init__(self, command: Sequence[str], load: protocol.Load, patience: Patience, watch: Watch) -> None:
        self._command = command
        self._load = load
        self._patience = patience
        self._watch = watch
        self._turn_seconds = min(_LONGEST_TURN, patience.silence / 4, patience.hang / 4)
        self._selector = selectors.DefaultSelector()
        self._deaths_in_load = 0
        self._deadline: float | None = None
        self.ledger = Ledger()
        self.opened: Future[EngineInfo] = Future()
        self.session: Session | None = None
        self.launches = 0
        self.is_over = False

    @property
    def is_closing(self) -> bool:
        """It is over, or about to be: nothing may be sent any more."""
        return self.is_over or self._deadline is not None

    def attend(self, mailbox: Mailbox, work: Callable[[int], None]) -> None:
        """Whatever arrives there is worth a turn."""
        self._selector.register(mailbox, selectors.EVENT_READ, work)

    def turn(self) -> None:
        try:
            for key, mask in self._wait():
                key.data(mask)
            if self.session is not None:
                self._look_after(self.session)
        except Lost as lost:
            self._on_lost(str(lost))
        except Refused as refused:
            self._end_session(refused.error)

    def launch(self) -> None:
        if self.is_closing:
            return
        self.launches += 1
        try:
            session = Session(self._command, self._load, self._patience, self.ledger, self._watch)
        except Refused as refused:
            self._give_up(refused.error)
            return
        self.session = session
        self._selector.register(session.child.socket, selectors.EVENT_READ, session.attend)
        self._selector.register(session.child.output, selectors.EVENT_READ, lambda _: self._listen(session))

    def send(self, number: int, packet: bytes) -> None:
        """Now, or when a worker is ready for it."""
        if self.session is not None and self.session.is_ready:
            self.session.child.send(packet)
            return
        self.ledger.held[number] = packet
        if self.session is None:
            self.launch()

    def cancel(self, request_id: RequestId) -> None:
        if request_id in self.ledger.held:
            self.ledger.cancel(request_id)
        elif self.session is not None and self.ledger.knows(request_id):
            self.session.child.send(frame(protocol.CANCEL, request_id))

    def begin_to_close(self) -> None:
        if self.is_closing:
            return
        self._deadline = time.monotonic() + self._patience.close
        if self.session is None:
            self.is_over = True
        elif self.session.is_ready:
            self.session.child.send(frame(protocol.CLOSE, 0))
        else:
            self._on_lost("was closed while it loaded the model")

    def end(self) -> None:
        """There will be no turn any more."""
        self.is_over = True
        self._end_session(closed())
        self._selector.close()

    def fail(self, error: Mlxk2Error) -> None:
        """It is over, and not because somebody has closed it: whoever waits fails with this error."""
        self.ledger.fail_all(error)
        if not self.opened.done():
            self.opened.set_exception(error)

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        if self.session is None:
            return self._selector.select()
        writing = selectors.EVENT_WRITE if self.session.child.has_unsent else 0
        self._selector.modify(self.session.child.socket, selectors.EVENT_READ | writing, self.session.attend)
        return self._selector.select(self._turn_seconds)

    def _look_after(self, session: Session) -> None:
        if session.info is not None and not self.opened.done():
            self.opened.set_result(session.info)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Lost("did not close when asked to and was stopped")
        session.inspect()

    def _listen(self, session: Session) -> None:
        if not session.child.listen():
            self._selector.unregister(session.child.output)

    def _on_lost(self, how: str) -> None:
        session = self.session
        if session is None:
            return
        session.child.kill()
        self._deaths_in_load = 0 if session.is_ready else self._deaths_in_load + 1
        if 0 < self._deaths_in_load < _TRIES and self.opened.done() and not self.is_closing:
            self.session = None
            self._bury(session)
            self.launch()
        else:
            self._end_session(closed() if self.is_closing else _failure(session, how))

    def _end_session(self, error: Mlxk2Error) -> None:
        """Whoever waits is told before the process is buried: a large one takes a while to leave memory."""
        session, self.session = self.session, None
        self._give_up(error)
        if session is not None:
            self._bury(session)
        self.is_over = self.is_closing

    def _bury(self, session: Session) -> None:
        for watched in (session.child.socket, session.child.output):
            with suppress(KeyError):
                self._selector.unregister(watched)
        session.child.bury()

    def _give_up(self, error: Mlxk2Error) -> None:
        """Nobody who waits now is answered any more."""
        self._deaths_in_load = 0
        if self.is_closing:
            self.ledger.cancel_all(error)
        self.fail(error)


def closed() -> EngineFailure:
    return EngineFailure("This engine is closed: load the model again")


def _failure(session: Session, how: str) -> EngineFailure:
    details = session.child.last_words()
    if session.is_ready:
        message = f"The model's process {how}: send the request again, and a new process loads the model"
    else:
        message = f"The model's process {how} while it loaded the model: try again, or take a smaller model"
    return EngineFailure(message, details=details)
