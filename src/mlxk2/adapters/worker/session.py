"""One worker's life as its parent sees it: greeting, loading, ready; and what its packets mean at each stage.

It belongs to one thread. Whatever ends it leaves as an exception: `Lost` for a worker that is gone or of no use any
more, `Refused` for one that has said why it cannot serve.
"""

import selectors
import time
from collections.abc import Callable, Sequence
from typing import Literal

from mlxk2 import __version__
from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.child import Child
from mlxk2.adapters.worker.ledger import Ledger, tell
from mlxk2.adapters.worker.watchdog import Patience, Watchdog
from mlxk2.adapters.worker.wire import BrokenStream, Packet, frame
from mlxk2.ports.engine import EngineInfo, EngineStats, Loading, Stepped, Watch
from mlxk2.ports.errors import Mlxk2Error, OperationError


class Lost(Exception):
    """The worker is gone; the text says how, in words that follow "the process"."""


class Refused(Exception):
    """The worker will not serve this model, and trying again would not help."""

    def __init__(self, error: Mlxk2Error) -> None:
        super().__init__(error.message)
        self.error = error


class Session:
    """Starts a worker. Raises Refused when there is no such program."""

    def __init__(
        self, command: Sequence[str], load: protocol.Load, patience: Patience, ledger: Ledger, watch: Watch
    ) -> None:
        try:
            self.child = Child(command)
        except (OSError, ValueError) as error:
            raise Refused(OperationError(f"The model's process cannot be started: {error}")) from error
        self.info: EngineInfo | None = None
        self.stats = EngineStats()
        self.process_id: int | None = None
        self._load = load
        self._ledger = ledger
        self._watch = watch
        self._stage: Literal["greeting", "loading", "ready"] = "greeting"
        self._busy = 0
        self._watchdog = Watchdog(patience, time.monotonic())
        self._handlers: dict[str, Callable[[Packet], None]] = {
            protocol.HELLO: self._on_hello,
            protocol.LOADING: self._on_loading,
            protocol.LOADED: self._on_loaded,
            protocol.REFUSED: self._on_refused,
            protocol.EVENTS: self._on_events,
            protocol.ANSWER: self._on_answer,
            protocol.BEAT: self._on_beat,
        }

    @property
    def is_ready(self) -> bool:
        """The model is loaded: requests and calls may be sent."""
        return self._stage == "ready"

    def attend(self, mask: int) -> None:
        """The child's socket can be written to or read from, as a selector says."""
        if mask & selectors.EVENT_WRITE:
            self.child.send_more()
        if not mask & selectors.EVENT_READ:
            return
        try:
            for packet in self.child.receive():
                self._handle(packet)
            self._watchdog.heard(time.monotonic())  # after the sinks, whose time is not the worker's
        except EOFError:
            raise Lost(self.child.how_it_ended()) from None
        except BrokenStream as error:
            raise Lost(f"said something that is no message ({error}) and was stopped") from None

    def inspect(self) -> None:
        """To be called when everything that has arrived is read: raises Lost when the worker counts as hung."""
        verdict = self._watchdog.verdict(
            time.monotonic(),
            loading=not self.is_ready,
            busy=bool(self._busy or self._ledger.requests),
            asked=self._ledger.asked,
        )
        if verdict is not None:
            raise Lost(verdict)

    def _handle(self, packet: Packet) -> None:
        handler = self._handlers.get(packet.kind)
        if handler is None or (self._stage == "greeting" and packet.kind != protocol.HELLO):
            raise BrokenStream(f"packet of kind {packet.kind!r}")
        handler(packet)

    def _on_hello(self, packet: Packet) -> None:
        hello = protocol.hello.read(packet.body)
        if (hello.protocol, hello.version) != (protocol.PROTOCOL, __version__):
            raise Refused(
                OperationError(
                    f"The model's process is mlxk2 {hello.version} (protocol {hello.protocol}) and this one is"
                    f" {__version__} (protocol {protocol.PROTOCOL}): mlxk2 was updated meanwhile; start it again"
                )
            )
        self._stage = "loading"
        self.process_id = hello.pid
        self.child.send(frame(protocol.LOAD, 0, self._load))

    def _on_loading(self, packet: Packet) -> None:
        self._watchdog.progressed(time.monotonic())
        tell(self._watch, Loading(protocol.stage.read(packet.body)))

    def _on_loaded(self, packet: Packet) -> None:
        self.info, self.stats = protocol.loaded.read(packet.body)
        self._stage = "ready"
        self._watchdog.progressed(time.monotonic())
        self.child.send(self._ledger.release())

    def _on_refused(self, packet: Packet) -> None:
        error = protocol.refused.read(packet.body)
        if not self.is_ready:
            raise Refused(error)
        self._ledger.refuse(packet.id, error)

    def _on_events(self, packet: Packet) -> None:
        body = protocol.happened.read(packet.body)
        if body.stats is not None:
            self.stats = body.stats
        for request_id, event in protocol.read_events(body):
            if not self._ledger.deliver(request_id, event):
                self.child.send(frame(protocol.CANCEL, request_id))
        if body.busy is not None:
            self._busy = body.busy
            tell(self._watch, Stepped(body.busy))
        self._watchdog.progressed(time.monotonic())

    def _on_answer(self, packet: Packet) -> None:
        self._ledger.answer(packet.id, packet.body)

    def _on_beat(self, packet: Packet) -> None:
        beat = protocol.beat.read(packet.body)
        self._busy, self.stats = beat.busy, beat.stats
        self._watchdog.beat(beat.steps, time.monotonic())
