"""Runs applications on ports of 127.0.0.1 in a thread of their own, which starts and stops within milliseconds."""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from .connection import Connection

Result = TypeVar("Result")


def open_port(number: int = 0) -> socket.socket:
    """Listens from now on: clients that come before the server runs are kept waiting, not turned away."""
    return socket.create_server(("127.0.0.1", number), backlog=512)


def origin(port: socket.socket, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{port.getsockname()[1]}"


class Server:
    """uvicorn's protocol on an event loop, without uvicorn's own server, which looks only every 0.1 s for its end."""

    def __init__(self, applications: Mapping[socket.socket, ASGIApp]) -> None:
        self._applications = applications
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="loopback hub", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def call(self, function: Callable[[], Result]) -> Result:
        """The result of a function that is called between two steps of the server, when its counts are exact."""
        if not self._thread.is_alive():
            return function()

        async def called() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        state = ServerState()
        servers = []
        for port, application in self._applications.items():
            config = Config(application, lifespan="off", log_config=None, access_log=False, ws="none")
            config.load()

            def connection(config: Config = config) -> Connection:
                return Connection(config, state, {})

            servers.append(await asyncio.get_running_loop().create_server(connection, sock=port))
        await self._stopping.wait()
        for server in servers:
            server.close()
        for task in state.tasks:
            task.cancel()
        for client in list(state.connections):
            client.transport.abort()
        await asyncio.sleep(0)
