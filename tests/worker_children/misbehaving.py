"""A worker that breaks the protocol in the way that its first argument names."""

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

from mlxk2 import __version__
from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.wire import Packet, Reader, frame
from mlxk2.ports.engine import EngineInfo, EngineStats

INFO = EngineInfo(has_chat_template=True, has_thinking_switch=False, vocab_size=1000)


def wait_for_ever() -> None:
    threading.Event().wait()


def greet(sock: socket.socket, number: int = protocol.PROTOCOL, version: str = __version__) -> None:
    sock.sendall(frame(protocol.HELLO, 0, protocol.Hello(number, version, os.getpid())))


def packets(sock: socket.socket) -> Iterator[Packet]:
    reader = Reader()
    while piece := sock.recv(65536):
        yield from reader.feed(piece)


def after_loading(sock: socket.socket) -> Iterator[Packet]:
    """Behaves until the model is loaded, and keeps beating; the packets that come then are the caller's."""
    greet(sock)
    arriving = packets(sock)
    next(arriving)
    sock.sendall(frame(protocol.LOADED, 0, protocol.Loaded(INFO, EngineStats())))
    threading.Thread(target=beat, args=(sock,), daemon=True).start()
    yield from arriving


def beat(sock: socket.socket) -> None:
    while True:
        sock.sendall(frame(protocol.BEAT, 0, protocol.Beat(0, 0, EngineStats())))
        time.sleep(0.05)


def silent(_: socket.socket) -> None:
    wait_for_ever()


def garbage(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    wait_for_ever()


def impolite(sock: socket.socket) -> None:
    sock.sendall(frame(protocol.LOADED, 0, protocol.Loaded(INFO, EngineStats())))
    wait_for_ever()


def other_protocol(sock: socket.socket) -> None:
    greet(sock, number=protocol.PROTOCOL + 1)
    wait_for_ever()


def other_version(sock: socket.socket) -> None:
    greet(sock, version="1.0.0")
    wait_for_ever()


def hangs_up(sock: socket.socket) -> None:
    greet(sock)
    sock.shutdown(socket.SHUT_RDWR)
    wait_for_ever()


def deaf(sock: socket.socket) -> None:
    for _ in after_loading(sock):
        pass


def wrong_answers(sock: socket.socket) -> None:
    for packet in after_loading(sock):
        sock.sendall(frame(protocol.ANSWER, packet.id, {"what": "ever"}))


def wrong_events(sock: socket.socket) -> None:
    for packet in after_loading(sock):
        sock.sendall(frame(protocol.EVENTS, 0, (None, None, [(packet.id, 2, [5, 1])])))


MANNERS: dict[str, Callable[[socket.socket], None]] = {
    manner.__name__: manner
    for manner in (
        silent,
        garbage,
        impolite,
        other_protocol,
        other_version,
        hangs_up,
        deaf,
        wrong_answers,
        wrong_events,
    )
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("manner", choices=MANNERS)
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    with socket.socket(fileno=arguments.fd) as parent:
        MANNERS[arguments.manner](parent)
