"""Runs the server: listens, tells when it does, and ends as it should.

The first SIGTERM or SIGINT stops accepting. Whoever is being answered, or waits in line, has the time to drain; after
that running answers end with an error. A second signal ends the process at once; workers end with it.
"""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import uvicorn

from mlxk2.entrypoints.http.app import build_app
from mlxk2.entrypoints.http.auth import required_keys
from mlxk2.entrypoints.http.connections import Connection
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.entrypoints.http.logs import log_failure, log_note, start_log
from mlxk2.entrypoints.http.mailbox import Mailbox
from mlxk2.entrypoints.http.model_log import ModelLog
from mlxk2.ports.errors import Mlxk2Error, OperationError, ValidationError

_TICK = 1.0
"""Seconds between two looks at the models: who has been idle for too long, who waited too long."""
_FAREWELL = 2.0
"""Seconds for answers that were interrupted to tell their clients so."""
_BACKLOG = 2048
_OPEN_FILES = 10240
"""As many as macOS lets any process have."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server can be reached."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def run_server(services: HttpServices, announce: Callable[[Listening], None]) -> None:
    """Blocks until the server has ended; `announce` is called once it listens.

    Raises OperationError or ValidationError when it cannot, or must not, listen there, and what keeps a model of
    `preload` from being loaded.
    """
    options = services.options
    _check_host(options.host)
    required_keys(options.host, options.api_keys, insecure=options.insecure)
    start_log(options.log_level, options.log_format)
    try:
        for reference in options.preload:
            services.models.find(reference)
        with _listening_socket(options.host, options.port) as listener:
            _collect_little()
            _allow_many_connections()
            asyncio.run(_Server(services, listener).run(announce))
    finally:
        services.models.close()


def _check_host(host: str) -> None:
    """Raises ValidationError for what people write that is more than an address."""
    name, _, port = host.rpartition(":")
    if "://" in host or (":" not in name and name and port.isdigit()):
        raise ValidationError(f"--host {host!r} is more than an address; write that alone, and the port with --port")
    if host.startswith("["):
        raise ValidationError(f"--host {host!r} has brackets; write the address without them")


def _collect_little() -> None:
    """What is there now stays: garbage is looked for among what requests leave behind, and only there."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _allow_many_connections() -> None:
    """Every connection is an open file, and some systems allow a process 256 of them unless it asks for more."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Server:
    def __init__(self, services: HttpServices, listener: socket.socket) -> None:
        self._services = services
        self._listener = listener
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                build_app(services),
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=75,
                proxy_headers=False,
            )
        )
        self._failure: Mlxk2Error | None = None
        self._model_log = ModelLog()

    async def run(self, announce: Callable[[Listening], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        host, port = self._listener.getsockname()[:2]
        helpers = [asyncio.create_task(self._tick())]
        self._preload()
        loop.call_soon(announce, Listening(host, port))
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            for helper in helpers:
                helper.cancel()
            self._services.close()
        if self._failure is not None:
            raise self._failure

    def _preload(self) -> None:
        for reference in self._services.options.preload:
            self._services.models.load(reference, partial(self._hear, self._services.mailbox(), reference))

    def _hear(self, mailbox: Mailbox, reference: str, error: Mlxk2Error | None) -> None:
        """In a thread of the pool."""
        mailbox.post(partial(self._on_preloaded, reference, error))

    def _on_preloaded(self, reference: str, error: Mlxk2Error | None) -> None:
        """A server without the models that it was started for is of no use."""
        self._services.preloading.discard(reference)
        if error is not None:
            self._failure = self._failure or error
            self._stop()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                self._services.models.pass_time()
                status = self._services.models.status()
                self._model_log.look(status)
                self._services.speeds.look(status, time.monotonic())
            except Exception as error:  # noqa: BLE001 - time passes all the same
                log_failure(error, "of no request")

    def _on_signal(self, number: int) -> None:
        if self._services.draining:
            os._exit(128 + number)
        self._stop()

    def _stop(self) -> None:
        if self._services.draining:
            return
        self._services.draining = True
        running, seconds = len(self._services.running), self._services.options.drain_seconds
        waits = f"; {running} under way have {seconds:g} s to end, a second signal ends them at once" if running else ""
        log_note(f"The server stops{waits}")
        self._uvicorn.should_exit = True
        loop = asyncio.get_running_loop()
        loop.call_later(self._services.options.drain_seconds, self._interrupt_all)

    def _interrupt_all(self) -> None:
        problem = Problem(503, "server_error", "The server is shutting down; try again later", retry_after=5)
        for exchange in list(self._services.running):
            exchange.interrupt(problem)
        asyncio.get_running_loop().call_later(_FAREWELL, self._leave)

    def _leave(self) -> None:
        self._uvicorn.force_exit = True


class _Uvicorn(uvicorn.Server):
    """Signals are for `_Server` to handle."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ValidationError(
            f"--host {host!r} is no address of this machine; use 127.0.0.1 or a name that resolves"
        ) from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's own name for it
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> OperationError:
    if error.errno == errno.EADDRNOTAVAIL:
        step = "that is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all of its addresses (--host)"
    elif error.errno == errno.EACCES:
        step = "ports below 1024 belong to the system; choose another with --port"
    else:
        step = (
            f"{(error.strerror or 'unknown').lower()}; free that port, or choose another with --port (0: any free one)"
        )
    return OperationError(f"The server cannot listen on {host} port {port}: {step}")
