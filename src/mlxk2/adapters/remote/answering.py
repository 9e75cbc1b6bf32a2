"""One request to a server's model: a thread of its own follows it, and tells its end once, whatever happens."""

import time
from collections.abc import Callable, Sequence

from mlxk2.adapters.remote.connection import Connection
from mlxk2.adapters.remote.streams import stream
from mlxk2.ports.attachment import Line, ToGenerate
from mlxk2.ports.checking import check_request
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import EngineFailure, Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, GenerationRequest
from mlxk2.ports.servers import RunningServer

Tell = Callable[[Sequence[Event]], bool]
"""Passes events on; False when nobody hears any more."""


class Answering:
    def __init__(self, server: RunningServer, model: str, info: EngineInfo, request: GenerationRequest) -> None:
        self._server = server
        self._model = model
        self._info = info
        self._request = request
        self._connection = Connection(server)
        self._is_unwanted = False
        self._started = time.monotonic()
        self._first_token_seconds = 0.0
        self._generated_tokens = 0

    def cancel(self) -> None:
        """From any thread."""
        self._is_unwanted = True
        self._connection.hang_up()

    def follow(self, tell: Tell) -> None:
        """To its end."""
        try:
            with self._connection:
                last = self._events(tell)
        except Mlxk2Error as error:
            last = Failed(error)
        except BaseException as error:  # noqa: BLE001 - nobody waits for ever, whatever it is
            last = Failed(EngineFailure(f"The answer could not be followed: {type(error).__name__}: {error}"))
        if last is not None:
            tell([self._cancelled() if self._is_unwanted and not isinstance(last, Finished) else last])

    def _events(self, tell: Tell) -> Event | None:
        """The last event, still to be told; None when nobody hears any more."""
        check_request(self._request, self._info)
        for group in stream(self._connection, self._server, "generate", ToGenerate(self._model, self._request)):
            told, last = self._sort(group)
            if told and not tell(told):
                return None
            if last is not None or self._is_unwanted:
                return last or self._cancelled()
        return None

    def _sort(self, group: Sequence[Line]) -> tuple[list[Event], Finished | None]:
        told: list[Event] = []
        for line in group:
            if line.finished is not None:
                return told, line.finished
            event = line.queued or line.progress or line.delta
            if event is not None:
                self._see(event)
                told.append(event)
        return told, None

    def _see(self, event: Event) -> None:
        if isinstance(event, Delta):
            self._first_token_seconds = self._first_token_seconds or time.monotonic() - self._started
            self._generated_tokens = event.generated_tokens

    def _cancelled(self) -> Finished:
        return Finished(
            FinishReason.CANCELLED,
            len(self._request.prompt),
            self._generated_tokens,
            self._first_token_seconds,
            time.monotonic() - self._started,
        )
