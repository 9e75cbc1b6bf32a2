"""The client, a process of its own: raw sockets and one thread, so that it costs little of the two cores.

It counts events and keeps bytes while answers come; JSON is read after the last of them. What it cost is reported.
"""

import itertools
import selectors
import socket
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.engine.children import serve
from bench.engine.exchanges import Answer, Errand, Outcome, Received, encode, read_answer
from bench.engine.requests import Body

_CONNECTION_TIMEOUT = 30
_SILENCE = 240
"""Seconds without a byte from any server after which a benchmark gives up."""


@dataclass(slots=True)
class _Exchange:
    """One request on its socket. `begun`: its first event has come."""

    socket: socket.socket
    body: Body
    is_counted: bool
    started: float = 0.0
    begun: bool = False
    received: Received = field(default_factory=Received)

    def answer(self) -> Answer:
        return read_answer(self.received, self.started)


class _Clock:
    """Runs from its making: wall-clock seconds, and the client's own processor time."""

    def __init__(self) -> None:
        self._started, self._processor = time.perf_counter(), time.process_time()

    def outcome(self, exchanges: list[_Exchange]) -> Outcome:
        seconds, processor = time.perf_counter() - self._started, time.process_time() - self._processor
        return Outcome(tuple(exchange.answer() for exchange in exchanges), seconds, processor)


class Client:
    """Exchanges under way with one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._open = 0

    def connect(self, body: Body, *, is_counted: bool = True) -> _Exchange:
        connection = socket.create_connection(("127.0.0.1", self._port), _CONNECTION_TIMEOUT)
        return _Exchange(connection, body, is_counted)

    def send(self, exchange: _Exchange) -> None:
        exchange.started = time.perf_counter()
        exchange.socket.sendall(encode(exchange.body))
        exchange.socket.settimeout(0)
        self._selector.register(exchange.socket, selectors.EVENT_READ, exchange)
        self._open += 1

    def finished(self) -> list[_Exchange]:
        """Wait for bytes; the exchanges that are complete now. Raises TimeoutError after a long silence."""
        ready = self._selector.select(_SILENCE)
        if not ready:
            raise TimeoutError(f"{self._open} requests open and nothing heard for {_SILENCE} s")
        return [key.data for key, _ in ready if self._receive(key.data)]

    def _receive(self, exchange: _Exchange) -> bool:
        try:
            piece = exchange.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if piece:
            exchange.received.add(piece, time.perf_counter())
            exchange.begun = exchange.begun or b"data: " in piece
            return False
        self.drop(exchange)
        return True

    def drop(self, exchange: _Exchange) -> None:
        self._selector.unregister(exchange.socket)
        exchange.socket.close()
        self._open -= 1

    def drop_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            self.drop(key.data)


def volley(client: Client, errand: Errand) -> Outcome:
    """`at_once` requests are kept open until all are answered. The first connections are made before the clock runs."""
    waiting = deque(errand.bodies)
    opening = [client.connect(waiting.popleft()) for _ in range(min(errand.at_once, len(waiting)))]
    clock = _Clock()
    for exchange in opening:
        client.send(exchange)
    ended: list[_Exchange] = []
    while len(ended) < len(errand.bodies):
        for exchange in client.finished():
            ended.append(exchange)
            if waiting:
                client.send(client.connect(waiting.popleft()))
    return clock.outcome(ended)


class Crowd:
    """Requests of the background: so many run at any time, each that ends is followed by a new one."""

    def __init__(self, client: Client, errand: Errand) -> None:
        self._client = client
        self._waiting = itertools.cycle(errand.background)
        self._size = errand.at_once

    def gather(self) -> None:
        """All of them are decoding when this returns."""
        first = [self._client.connect(next(self._waiting), is_counted=False) for _ in range(self._size)]
        for exchange in first:
            self._client.send(exchange)
        while not all(exchange.begun for exchange in first):
            self.turn()

    def turn(self) -> list[_Exchange]:
        """Take what has come; the counted exchanges that are complete."""
        ended = self._client.finished()
        for exchange in ended:
            if not exchange.is_counted:
                self._client.send(self._client.connect(next(self._waiting), is_counted=False))
        return [exchange for exchange in ended if exchange.is_counted]

    def pass_time(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.turn()


def probe(client: Client, errand: Errand) -> Outcome:
    """One request after the other, `gaps` seconds apart, while `at_once` of the background are kept running."""
    crowd = Crowd(client, errand)
    crowd.gather()
    clock = _Clock()
    probes = []
    for body, gap in zip(errand.bodies, errand.gaps, strict=True):
        crowd.pass_time(gap)
        exchange = client.connect(body)
        client.send(exchange)
        while exchange not in crowd.turn():
            pass
        probes.append(exchange)
    client.drop_all()
    return clock.outcome(probes)


def answer(question: Any) -> dict[str, object]:
    errand = Errand.parse(question)
    client = Client(errand.port)
    return asdict(probe(client, errand) if errand.background else volley(client, errand))


if __name__ == "__main__":
    serve(answer)
