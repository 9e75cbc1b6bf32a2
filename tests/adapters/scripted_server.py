"""A server that says to each request what a test wrote down, and keeps what it was asked. Loopback, real sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

from mlxk2.ports.servers import RunningServer

PATIENCE = 60.0
KEY = "the-key"
HOLD = b"(hold)"
"""Among the words of a script: says nothing more, and waits until the other side hangs up."""

Script = Callable[[str], Sequence[bytes]]
"""What is said to a request for this path, piece by piece; afterwards the connection is closed."""


class ScriptedServer:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.was_left = threading.Event()
        port: int = self._listener.getsockname()[1]
        self.server = RunningServer(f"http://127.0.0.1:{port}", KEY, 1, port, "/cache", "1.0", 0.0, "/log")

    def begin(self) -> None:
        self._threads[0].start()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(PATIENCE)
                thread = threading.Thread(target=self._answer, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, contextlib.suppress(OSError):
            path = file.readline().decode().split(" ")[1]
            headers = dict(self._headers(file.readline))
            self.requests.append((path, headers, file.read(int(headers["content-length"]))))
            for words in self._script(path):
                if words == HOLD:
                    file.read(1)
                    self.was_left.set()
                    return
                connection.sendall(words)

    def _headers(self, line: Callable[[], bytes]) -> Iterator[tuple[str, str]]:
        while said := line().decode().strip():
            name, _, value = said.partition(": ")
            yield name.lower(), value


@contextlib.contextmanager
def scripted(*words: bytes) -> Iterator[ScriptedServer]:
    """One that says the same to everybody."""
    with scripted_by_path(lambda _: words) as server:
        yield server


@contextlib.contextmanager
def scripted_by_path(script: Script) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    server.begin()
    try:
        yield server
    finally:
        server.end()


def whole(body: bytes, status: int = 200) -> bytes:
    """A reply of known length."""
    return b"HTTP/1.1 %d Words\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


END = chunk(b"")
