"""A stream: a model is leased, loaded first if need be, and what its engine tells goes out line by line.

It ends in one place, whatever ends it: the engine, the client that hangs up, the server that shuts down. Whoever hangs
up has cancelled. There is no deadline: an answer that the user's own program waits for may take as long as one in its
own process.
"""

import time
from collections.abc import AsyncGenerator
from typing import TypeAlias

from mlxk2.domain.admission import TicketId
from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused
from mlxk2.entrypoints.http.attached.wire import ALIVE, line, stage_line
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.entrypoints.http.exchange import KEEP_ALIVE, ClientGone
from mlxk2.entrypoints.http.identity import Visit
from mlxk2.entrypoints.http.mailbox import Inbox
from mlxk2.ports.attachment import Opened
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest, PromptProgress

_Item: TypeAlias = LoadProgress | Lease | Refused | Event | Exception


class Relay:
    """`request` is what to generate; None only opens the model. Follow `lines` to their end."""

    def __init__(self, services: HttpServices, visit: Visit, model: str, request: GenerationRequest | None) -> None:
        self._services = services
        self._visit = visit
        self._model = model
        self._request = request
        self._inbox: Inbox[_Item] = Inbox(services.mailbox())
        self._began = time.monotonic()
        self._last_token: float | None = None
        self._lease: Lease | None = None
        self._ticket: TicketId | None = None
        self._is_over = False

    @property
    def request_id(self) -> str:
        return self._visit.request_id

    def interrupt(self, problem: Problem) -> None:
        """The server ends: to this client it is gone."""
        self._inbox.drop(ServerGone(problem.message))

    def abandon(self) -> None:
        """The client has hung up."""
        self._inbox.drop(ClientGone())

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """What has come meanwhile, together. Raises Refusal, ClientGone and every Mlxk2Error."""
        self._services.running.add(self)
        want = self._services.models.want(self._model, self._inbox.put)
        try:
            told = self._began
            while not self._is_over:
                piece, error = self._take_all(await self._inbox.take(told + KEEP_ALIVE - time.monotonic()))
                if piece or time.monotonic() - told >= KEEP_ALIVE:
                    yield piece or ALIVE
                    told = time.monotonic()
                if error is not None:
                    raise error
        finally:
            self._inbox.close()
            self._services.running.discard(self)
            if self._ticket is not None and self._lease is not None:
                self._lease.gate.cancel(self._ticket)
            self._services.models.give_up(want)

    def _take_all(self, items: list[_Item]) -> tuple[bytes, Exception | None]:
        """What came before an error is still told."""
        piece = bytearray()
        for item in items:
            try:
                piece += self._take(item)
            except Exception as error:  # noqa: BLE001 - raised once the rest is told
                return bytes(piece), error
        return bytes(piece), None

    def _take(self, item: _Item) -> bytes:
        if isinstance(item, LoadProgress):
            return stage_line(item.stage)
        if isinstance(item, Lease):
            return self._on_lease(item)
        if isinstance(item, (Refused, Failed)):
            raise item.error
        if isinstance(item, Exception):
            raise item
        return self._on_event(item)

    def _on_lease(self, lease: Lease) -> bytes:
        self._lease, self._visit.model = lease, lease.offer.name
        if self._request is None:
            self._is_over = True
            opened = Opened(lease.engine.info(), lease.gate.budget)
            lease.release()
            return line(opened)
        self._visit.prompt_tokens = len(self._request.prompt)
        self._services.metrics.started(lease.offer.name)
        self._ticket = lease.gate.submit(self._request, self._hear)
        return b""

    def _hear(self, event: Event) -> None:
        """In a thread of the engine; the model is let go with the last event, however slowly the client reads."""
        if isinstance(event, (Finished, Failed)) and self._lease is not None:
            self._lease.release()
        self._inbox.put(event)

    def _on_event(self, event: Event) -> bytes:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, PromptProgress):
            self._visit.cached_tokens = event.cached
        elif isinstance(event, Delta):
            self._measure(event)
        elif isinstance(event, Finished):
            self._finish(event)
        return line(event)

    def _measure(self, delta: Delta) -> None:
        now, last, model = time.monotonic(), self._last_token, self._visit.model or ""
        self._last_token, self._visit.completion_tokens = now, delta.generated_tokens
        if last is None:
            self._services.metrics.first_token(model, now - self._began)
        else:
            self._services.metrics.between_tokens(model, now - last, max(len(delta.tokens), 1))

    def _finish(self, event: Finished) -> None:
        self._is_over = True
        self._visit.cached_tokens, self._visit.completion_tokens = event.cached_tokens, event.generated_tokens
        self._services.metrics.finished(
            self._visit.model or "", event.prompt_tokens, event.cached_tokens, event.generated_tokens
        )
