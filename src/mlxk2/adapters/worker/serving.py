"""The worker's side: one engine, whichever the loader makes, answers the parent at the other end of a socket.

The main thread reads what the parent says; loading, generating and answering calls happen in other threads. What is
wrong with one request or call is that one's error and no other's.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

from mlxk2 import __version__
from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.answering import Answering
from mlxk2.adapters.worker.failures import malformed, unexpected
from mlxk2.adapters.worker.outbox import Outbox
from mlxk2.adapters.worker.pulse import Pulse
from mlxk2.adapters.worker.wire import BrokenStream, Packet, Reader
from mlxk2.ports.engine import Engine, EngineLoader, EngineStats, Loading, RequestId, Stepped
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Event, Failed, Finished

_PIECE = 65536


def serve(sock: socket.socket, loader: EngineLoader, *, beat_seconds: float = 1.0) -> None:
    """Returns when the parent says CLOSE. When the parent is gone, the process ends at once.

    Raises BrokenStream when the parent says what is no message; nothing can be answered after that.
    """
    _Server(sock, loader, beat_seconds).run()


class _Server:
    def __init__(self, sock: socket.socket, loader: EngineLoader, beat_seconds: float) -> None:
        self._socket = sock
        self._loader = loader
        self._outbox = Outbox(sock, lambda: os._exit(1), self._look)
        self._running = _Running()
        self._pulse = Pulse(self._outbox, self._running.count, beat_seconds)
        self._answering = Answering(self._outbox)
        self._engine: Engine | None = None
        self._stats = EngineStats()

    def run(self) -> None:
        self._outbox.send(protocol.HELLO, 0, protocol.Hello(protocol.PROTOCOL, __version__, os.getpid()))
        self._pulse.start()
        for packet in self._packets():
            if packet.kind == protocol.CLOSE:
                break
            self._handle(packet)
            self._outbox.flush()  # a request may be refused or cancelled without a step of the engine
        if self._engine is None:
            os._exit(0)  # a load cannot be interrupted in any other way
        self._engine.close()
        self._outbox.flush()
        self._pulse.stop()

    def _packets(self) -> Iterator[Packet]:
        reader = Reader()
        while piece := self._receive():
            yield from reader.feed(piece)
        os._exit(0)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_PIECE)
        except OSError:
            return b""

    def _handle(self, packet: Packet) -> None:
        if packet.kind == protocol.LOAD:
            threading.Thread(target=self._load, args=(protocol.load.read(packet.body),), daemon=True).start()
        elif self._engine is None:
            raise BrokenStream(f"{packet.kind!r} before a model is loaded")
        elif packet.kind == protocol.START:
            self._start(self._engine, packet)
        elif packet.kind == protocol.CANCEL:
            self._running.cancel(self._engine, packet.id)
        elif not self._answering.take(self._engine, packet):
            raise BrokenStream(f"packet of kind {packet.kind!r}")

    def _load(self, wanted: protocol.Load) -> None:
        try:
            self._engine = self._loader.load(os.fsdecode(wanted.location), wanted.options, self._watch)
            self._outbox.send(protocol.LOADED, 0, protocol.Loaded(self._engine.info(), self._look()))
        except Mlxk2Error as error:
            self._outbox.send(protocol.REFUSED, 0, error)
        except BaseException as error:  # noqa: BLE001 - the parent is told, whatever it is
            self._outbox.send(protocol.REFUSED, 0, unexpected(error))

    def _look(self) -> EngineStats:
        """The engine's numbers; if it cannot say them, those that it said last."""
        if self._engine is not None:
            with suppress(Exception):
                self._stats = self._engine.stats()
        return self._stats

    def _watch(self, seen: Loading | Stepped) -> None:
        if isinstance(seen, Stepped):
            self._outbox.end_step(seen.busy)
        else:
            self._outbox.send(protocol.LOADING, 0, seen.stage)

    def _start(self, engine: Engine, packet: Packet) -> None:
        def sink(event: Event) -> None:
            self._outbox.add(packet.id, event)
            if isinstance(
                event, (Finished, Failed)
            ):  # only now, for the pulse looks after events while there are requests
                self._running.end(packet.id)

        self._running.begin(packet.id)
        self._pulse.hurry()
        try:
            self._running.name(packet.id, engine.start(protocol.request.read(packet.body), sink))
        except BrokenStream as error:
            sink(Failed(malformed("request", error)))
        except BaseException as error:  # noqa: BLE001 - the engine's defect, but this request's failure
            sink(Failed(unexpected(error)))


class _Running:
    """The requests in the engine: the parent's ids, and the engine's own for each once it has given one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[RequestId, RequestId | None] = {}

    def count(self) -> int:
        return len(self._ids)

    def begin(self, request_id: RequestId) -> None:
        with self._lock:
            self._ids[request_id] = None

    def name(self, request_id: RequestId, engines_id: RequestId) -> None:
        """Does nothing for a request that is over already."""
        with self._lock:
            if request_id in self._ids:
                self._ids[request_id] = engines_id

    def end(self, request_id: RequestId) -> None:
        with self._lock:
            self._ids.pop(request_id, None)

    def cancel(self, engine: Engine, request_id: RequestId) -> None:
        with self._lock:
            engines_id = self._ids.get(request_id)
        if engines_id is not None:
            engine.cancel(engines_id)
