"""One request to a server on this machine and its reply, over a connection of its own.

The key opens the server, so that it is sent to a loopback address and nowhere else. Whatever goes wrong on the way is
`ServerGone`; `hang_up` ends it from another thread.
"""

import contextlib
import re
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

from mlxk2.ports.errors import ServerGone
from mlxk2.ports.servers import RunningServer

_LOOPBACK = re.compile(r"http://(127(?:\.\d{1,3}){3}|\[::1\]):(\d{1,5})", re.ASCII)
_KEY = re.compile(r"[!-~]+")
_CONNECT_SECONDS = 5.0
_LONGEST_LINE = 64 * 1024
_MOST_LINES = 100
_LARGEST_CHUNK = 64 * 2**20
_PIECE = 64 * 1024


class Connection:
    """Opens nothing yet. `ask` is to be called once; `close`, or the end of the `with`, lets go of the connection."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._is_hung_up = False
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, path: str, body: bytes, patience: float) -> "Reply":
        """POST to `/engine/<path>`. Nothing may take longer than `patience` seconds to come."""
        host, port = _address(self._server)
        head = (
            f"POST /engine/{path} HTTP/1.1\r\nHost: {f'[{host}]' if ':' in host else host}:{port}\r\n"
            f"Authorization: Bearer {self._server.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            sock = self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sock.settimeout(_CONNECT_SECONDS)
            sock.connect((host, port))
            if self._is_hung_up:
                raise ConnectionAbortedError("hung up")
            sock.settimeout(patience)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said already why
                sock.sendall(head.encode() + body)
            self._file = sock.makefile("rb")
        except (OSError, OverflowError) as error:  # a port above 65535
            raise ServerGone(f"The server at {self._server.url} cannot be reached: {_reason(error)}") from error
        return Reply(self._server, self._file)

    def hang_up(self) -> None:
        """From any thread: whoever waits for the reply waits no longer."""
        self._is_hung_up = True
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in (self._file, self._socket):
            if each is not None:
                each.close()


class Reply:
    """Reads the head. `pieces` are the body's, as they arrive."""

    def __init__(self, server: RunningServer, file: BinaryIO) -> None:
        self._server = server
        self._file = file
        self.status = 0
        self._headers: dict[str, str] = {}
        with self._watching():
            self._read_head()

    def pieces(self) -> Iterator[bytes]:
        """Raises ServerGone where the body ends before its end."""
        with self._watching():
            if self._headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            else:
                yield from self._counted(int(self._headers["content-length"]))

    def read(self) -> bytes:
        return b"".join(self.pieces())

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ServerGone(f"The server at {self._server.url} does not answer: {_reason(error)}") from error
        except EOFError:
            raise ServerGone(f"The server at {self._server.url} has ended in the middle; try again") from None
        except (ValueError, LookupError) as error:
            raise ServerGone(f"What listens at {self._server.url} does not speak as a server of mlxk2") from error

    def _read_head(self) -> None:
        protocol, status, *_ = self._line().split(" ", 2)
        if not protocol.startswith("HTTP/1."):
            raise ValueError(protocol)
        self.status = int(status)
        for _ in range(_MOST_LINES):
            name, colon, value = self._line().partition(":")
            if not name:
                return
            if colon:
                self._headers[name.strip().lower()] = value.strip()
        raise ValueError("the head does not end")

    def _line(self) -> str:
        line = self._file.readline(_LONGEST_LINE)
        if not line:
            raise EOFError
        if not line.endswith(b"\n"):
            raise ValueError("the line does not end")
        return line.rstrip(b"\r\n").decode("latin-1")

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(";")[0], 16):
            if not 0 < size <= _LARGEST_CHUNK:
                raise ValueError("a chunk too large")
            yield self._exactly(size)
            self._line()

    def _counted(self, size: int) -> Iterator[bytes]:
        while size > 0:
            yield (piece := self._exactly(min(size, _PIECE)))
            size -= len(piece)

    def _exactly(self, size: int) -> bytes:
        piece = self._file.read(size)
        if len(piece) < size:
            raise EOFError
        return piece


def _address(server: RunningServer) -> tuple[str, int]:
    """Raises ServerGone for one that is not on a loopback address of this machine."""
    found = _LOOPBACK.fullmatch(server.url)
    if found is None or not _KEY.fullmatch(server.key):
        raise ServerGone(f"The server at {server.url} is on no loopback address of this machine, and so is not asked")
    return found[1].strip("[]"), int(found[2])


def _reason(error: OSError | OverflowError) -> str:
    if isinstance(error, TimeoutError):
        return "nothing has come for too long"
    told = error.strerror if isinstance(error, OSError) else None
    return (told or str(error) or type(error).__name__).lower()
