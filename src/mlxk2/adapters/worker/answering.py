"""The worker answers calls, one after the other, in a thread of their own.

A long text takes seconds to become tokens: neither requests nor cancellations wait behind it, only the next call does.
"""

import queue
import threading
from collections.abc import Callable

import msgspec

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.failures import malformed, unexpected
from mlxk2.adapters.worker.outbox import Outbox
from mlxk2.adapters.worker.wire import BrokenStream, Packet, Unsendable
from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import EngineFailure, Mlxk2Error

_CALLS: dict[str, Callable[[Engine, msgspec.Raw], object]] = {
    protocol.RENDER.kind: lambda engine, body: engine.render(*protocol.render.read(body)),
    protocol.TOKENIZE.kind: lambda engine, body: engine.tokenize(protocol.text.read(body)),
    protocol.DETOKENIZE.kind: lambda engine, body: engine.detokenize(protocol.tokens.read(body)),
}


class Answering:
    """Begins at once, and goes on as long as the process."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: queue.SimpleQueue[tuple[Engine, Packet]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="worker-answers", daemon=True).start()

    def take(self, engine: Engine, packet: Packet) -> bool:
        """Whether it is a call, which will be answered whatever it asks."""
        if packet.kind not in _CALLS:
            return False
        self._waiting.put((engine, packet))
        return True

    def _run(self) -> None:
        while True:
            self._answer(*self._waiting.get())

    def _answer(self, engine: Engine, packet: Packet) -> None:
        error: Mlxk2Error
        try:
            self._outbox.send(protocol.ANSWER, packet.id, _CALLS[packet.kind](engine, packet.body))
            return
        except Mlxk2Error as caught:
            error = caught
        except BrokenStream as caught:
            error = malformed(packet.kind, caught)
        except Unsendable as caught:
            error = EngineFailure(f"The answer cannot be passed on: {caught}")
        except BaseException as caught:  # noqa: BLE001 - the caller is told; libraries in Rust panic outside Exception
            error = unexpected(caught)
        self._outbox.send(protocol.REFUSED, packet.id, error)
