"""One child process as its parent holds it: a socket to talk over, the end of what it printed, and how it ended.

It gets a session of its own, so that Ctrl-C in the terminal is the parent's alone. What it prints is never shown
unasked: a few kilobytes are kept for the error report, which shows no secrets. Nothing here waits, except where it says
so.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from mlxk2.adapters.worker.discretion import environment, presentable
from mlxk2.adapters.worker.wire import Packet, Reader

_PIECE = 65536
_PRINT_KEPT = 8192
"""Bytes."""
_LAST_MOMENTS = 0.5
"""Seconds that a process may take to end after it has closed its socket."""


class Child:
    """Starts the process. Raises OSError when there is no such program."""

    def __init__(self, command: Sequence[str]) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs, ExitStack() as on_failure:
            on_failure.enter_context(self.socket)
            self._process = subprocess.Popen(  # noqa: S603 - the program's own command, not a user's
                [*command, "--fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            on_failure.pop_all()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self.output = self._process.stdout
        self.socket.settimeout(0)
        os.set_blocking(self.output.fileno(), False)
        self._reader = Reader()
        self._unsent = bytearray()
        self._printed = b""
        self._printed_more = False

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait until the socket can take them: see `send_more`."""
        return bool(self._unsent)

    def send(self, packet: bytes) -> None:
        self._unsent += packet
        self.send_more()

    def send_more(self) -> None:
        """Whether the process is gone is for `receive` to find out."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()

    def receive(self) -> Iterator[Packet]:
        """The packets that have arrived. Raises EOFError when the process has hung up, BrokenStream for nonsense."""
        try:
            piece = self.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            raise EOFError
        yield from self._reader.feed(piece)

    def listen(self) -> bool:
        """Read what was printed since, as much as a pipe holds; False when there is no more to come."""
        try:
            piece = os.read(self.output.fileno(), _PIECE)
        except BlockingIOError:
            return True
        printed = self._printed + piece
        self._printed = printed[-_PRINT_KEPT:]
        self._printed_more |= len(printed) > _PRINT_KEPT
        return bool(piece)

    def kill(self) -> None:
        """It and whatever it has started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # dead already; macOS says it the second way
                os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """In words that follow "the process"; waits for a moment, and kills a process that has merely hung up."""
        try:
            code = self._process.wait(_LAST_MOMENTS)
        except subprocess.TimeoutExpired:
            self.kill()
            return "closed its connection"
        if code >= 0:
            return f"ended with exit code {code}"
        if code == -signal.SIGKILL:
            return "was killed by the system, probably out of memory"
        return f"crashed with signal {-code} ({signal.strsignal(-code)})"

    def last_words(self) -> str | None:
        """The end of what it printed, without secrets."""
        self.listen()
        return presentable(self._printed, is_cut=self._printed_more) or None

    def bury(self) -> None:
        """Kill it if need be, wait until it is gone, and let go of what it held open."""
        self.kill()
        self._process.wait()
        self.output.close()
        self.socket.close()
