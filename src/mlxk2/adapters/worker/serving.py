"""The worker's side: one engine, whichever the loader makes, answers the parent at the other end of a socket.

The main thread reads what the parent says and answers its calls, which do not wait for generation; loading and
generating happen in other threads. What is wrong with one request or call is that one's error and no other's.
"""

import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterator

import msgspec

from mlxk2 import __version__
from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.outbox import Outbox
from mlxk2.adapters.worker.pulse import Pulse
from mlxk2.adapters.worker.wire import BrokenStream, Packet, Reader, Unsendable
from mlxk2.ports.engine import Engine, EngineLoader, Loading, RequestId, Stepped
from mlxk2.ports.errors import EngineFailure, Mlxk2Error, ValidationError
from mlxk2.ports.generation import Event, Failed, Finished

_PIECE = 65536

_CALLS: dict[str, Callable[[Engine, msgspec.Raw], object]] = {
    protocol.RENDER.kind: lambda engine, body: engine.render(*protocol.render.read(body)),
    protocol.TOKENIZE.kind: lambda engine, body: engine.tokenize(protocol.text.read(body)),
    protocol.DETOKENIZE.kind: lambda engine, body: engine.detokenize(protocol.tokens.read(body)),
    protocol.STATS.kind: lambda engine, _: engine.stats(),
}


def serve(sock: socket.socket, loader: EngineLoader, *, beat_seconds: float = 1.0) -> None:
    """Returns when the parent says CLOSE. When the parent is gone, the process ends at once.

    Raises BrokenStream when the parent says what is no message; nothing can be answered after that.
    """
    _Server(sock, loader, beat_seconds).run()


class _Server:
    def __init__(self, sock: socket.socket, loader: EngineLoader, beat_seconds: float) -> None:
        self._socket = sock
        self._loader = loader
        self._outbox = Outbox(sock, lambda: os._exit(1))
        self._running = _Running()
        self._pulse = Pulse(self._outbox, self._running.count, beat_seconds)
        self._engine: Engine | None = None

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
        elif packet.kind in _CALLS:
            self._answer(self._engine, packet)
        else:
            raise BrokenStream(f"packet of kind {packet.kind!r}")

    def _load(self, wanted: protocol.Load) -> None:
        try:
            self._engine = self._loader.load(os.fsdecode(wanted.location), wanted.options, self._watch)
            self._outbox.send(protocol.LOADED, 0, self._engine.info())
        except Mlxk2Error as error:
            self._outbox.send(protocol.REFUSED, 0, error)
        except Exception as error:  # noqa: BLE001 - the parent is told, whatever it is
            self._outbox.send(protocol.REFUSED, 0, _unexpected(error))

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
            sink(Failed(_malformed("request", error)))
        except Exception as error:  # noqa: BLE001 - the engine's defect, but this request's failure
            sink(Failed(_unexpected(error)))

    def _answer(self, engine: Engine, packet: Packet) -> None:
        error: Mlxk2Error
        try:
            self._outbox.send(protocol.ANSWER, packet.id, _CALLS[packet.kind](engine, packet.body))
            return
        except Mlxk2Error as caught:
            error = caught
        except BrokenStream as caught:
            error = _malformed(packet.kind, caught)
        except Unsendable as caught:
            error = EngineFailure(f"The answer cannot be passed on: {caught}")
        except Exception as caught:  # noqa: BLE001 - the caller is told, whatever it is
            error = _unexpected(caught)
        self._outbox.send(protocol.REFUSED, packet.id, error)


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


def _malformed(what: str, error: BrokenStream) -> ValidationError:
    return ValidationError(f"The {what} is not well formed: {error}")


def _unexpected(error: Exception) -> EngineFailure:
    trace = "".join(traceback.format_exception(error))
    return EngineFailure(f"The engine failed in an unexpected way: {type(error).__name__}: {error}", details=trace)
