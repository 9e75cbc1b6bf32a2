"""One HTTP request on its way through the server: a model is leased, questions are prepared, answers are followed.

Whatever happens meanwhile comes through one inbox: news of the model that loads, the engine's events, the client that
goes away, the deadline, the server that shuts down. So there is one place where everything can end, and one where
everything is let go.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import NamedTuple, TypeAlias

from mlxk2.domain.admission import TicketId
from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import Output
from mlxk2.domain.usecases.prepare_answers import Reader, check_options
from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused, WantId
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Problem, Refusal
from mlxk2.entrypoints.http.identity import Visit
from mlxk2.entrypoints.http.mailbox import Inbox
from mlxk2.entrypoints.http.planning import Asked, Plan, plan
from mlxk2.entrypoints.http.run import Run, Timings
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    PromptProgress,
    Queued,
    TokenLogprobs,
)

KEEP_ALIVE = 5.0
"""Seconds without news after which a waiting client is shown that the server is there."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Step(NamedTuple):
    """What answer `number` has more, the tokens behind it when they were asked for, and whether it is complete."""

    number: int
    outputs: list[Output]
    tokens: tuple[TokenLogprobs, ...]
    ended: bool


class _Happened(NamedTuple):
    """An event of answer `number`."""

    number: int
    event: Event


_Item: TypeAlias = LoadProgress | Lease | Refused | _Happened | Exception


class Exchange:
    """Follow `news` to its end, then `close`; `run` is there once the first news has come."""

    def __init__(self, services: HttpServices, asked: Asked, visit: Visit) -> None:
        self._services = services
        self._asked = asked
        self._visit = visit
        self._inbox: Inbox[_Item] = Inbox(services.mailbox())
        self._began = time.monotonic()
        self._submitted = self._began
        self._is_over = self._is_budgeted = False
        self._lease: Lease | None = None
        self._want: WantId | None = None
        self._tickets: dict[int, TicketId] = {}
        self._readers: list[Reader] = []
        self._followed: set[int] = set()
        self._ended: set[int] = set()
        self._run: Run | None = None
        self._last_token: dict[int, float] = {}

    @property
    def run(self) -> Run:
        if self._run is None:
            raise RuntimeError("The questions have not been prepared yet")
        return self._run

    @property
    def request_id(self) -> str:
        return self._visit.request_id

    def interrupt(self, problem: Problem) -> None:
        self._inbox.drop(Refusal(problem))

    def abandon(self) -> None:
        """The client has gone."""
        self._inbox.drop(ClientGone())

    async def news(self) -> AsyncGenerator[list[Step], None]:
        """Steps as they come; an empty list when nothing came for a while.

        Raises Refusal, ClientGone and every Mlxk2Error.
        """
        deadline = asyncio.get_running_loop().call_later(self._services.options.request_timeout, self._too_late)
        self._services.running.add(self)
        try:
            for question in self._asked.questions:
                check_options(question.options, self._services.options.answers)
            self._want = self._services.models.want(self._asked.reference, self._inbox.put)
            told = self._began
            while self._run is None or not all(answer.done for answer in self._run.answers):
                items = await self._inbox.take(told + KEEP_ALIVE - time.monotonic())
                steps, error = self._take_all(items)
                if steps or time.monotonic() - told >= KEEP_ALIVE:
                    yield steps
                    told = time.monotonic()
                if error is not None:
                    raise error
        finally:
            deadline.cancel()
            self._let_go()

    def _take_all(self, items: list[_Item]) -> tuple[list[Step], Exception | None]:
        """What came before an error is still news."""
        steps: list[Step] = []
        for item in items:
            try:
                step = self._take(item)
            except Exception as error:  # noqa: BLE001 - raised once the steps are told
                return steps, error
            if step is not None:
                steps.append(step)
        return steps, None

    def _take(self, item: _Item) -> Step | None:
        if isinstance(item, _Happened):
            return self._on_event(item.number, item.event)
        if isinstance(item, Exception):
            raise item
        if isinstance(item, Refused):
            raise item.error
        if isinstance(item, Lease):
            self._on_lease(item)
        return None

    def _on_lease(self, lease: Lease) -> None:
        self._lease = lease
        self._loaded = time.monotonic()
        self._services.model_threads.run(lease.offer.name, partial(self._prepare, lease))

    def _prepare(self, lease: Lease) -> None:
        """In a thread: all that takes time before the first token, and the beginning of the answers."""
        if self._is_over:
            return
        try:
            made = plan(lease, self._asked.questions, self._services.options.answers)
            if not self._is_over:
                self._submit(lease, made)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's
            self._inbox.put(error)

    def _submit(self, lease: Lease, made: Plan) -> None:
        """Still in the thread: the loop hears of it with the first event."""
        timings = Timings(load_seconds=self._loaded - self._began)
        self._readers = [planned.reader for planned in made.answers]
        self._is_budgeted = made.is_budgeted
        self._submitted = time.monotonic()
        self._run = Run(lease.offer.name, made.prepared, tuple(planned.answer for planned in made.answers), timings)
        self._services.metrics.started(self._run.model)
        for index, planned in enumerate(made.answers):
            if self._is_over:
                return
            # What follows on an answer may have been begun already, in the loop: then its ticket stands.
            self._tickets.setdefault(index, self._begin(lease, index, planned.request))
            if self._is_over:  # whoever let everything go meanwhile did not find this one
                self._cancel(index)

    def _begin(self, lease: Lease, index: int, request: GenerationRequest) -> TicketId:
        return lease.gate.submit(request, partial(self._hear, index))

    def _hear(self, index: int, event: Event) -> None:
        """An event, in a thread of the engine; the model is let go with the last, however slowly the client reads."""
        self._inbox.put(_Happened(index, event))
        if isinstance(event, (Finished, Failed)) and not self._is_budgeted:
            self._ended.add(index)
            if len(self._ended) == len(self._readers) and self._lease is not None:
                self._lease.release()

    def _on_event(self, index: int, event: Event) -> Step | None:
        run, answer = self.run, self.run.answers[index]
        if answer.done:
            return None
        reader = self._readers[index]
        counting = not (answer.stopped or reader.spent)
        outputs = reader.read(event)
        if isinstance(event, (Queued, PromptProgress)):
            if isinstance(event, PromptProgress) and not run.timings.queue_seconds:
                run.timings.queue_seconds = time.monotonic() - self._submitted
            return None
        tokens: tuple[TokenLogprobs, ...] = ()
        if isinstance(event, Delta):
            self._measure(index, event)
            tokens = event.logprobs if counting else ()
            if not self._asked.stream:
                run.logprobs[index].extend(tokens)
        if answer.error is not None:
            raise answer.error
        if answer.stopped and not answer.done:
            self._cancel(index)
        elif reader.spent:
            self._cut(index, reader)
        self._go_on(index, reader)
        if answer.done:
            self._finish(index, answer, event)
        return Step(index, outputs, tokens, answer.done) if outputs or tokens or answer.done else None

    def _cut(self, index: int, reader: Reader) -> None:
        """What follows keeps the place that the request has; only where that cannot be, it is a new arrival."""
        ticket, following = self._tickets.get(index), reader.following
        if index in self._followed or ticket is None or following is None or self._lease is None:
            return
        if self._lease.gate.follow(ticket, following):
            self._followed.add(index)
        else:
            self._cancel(index)

    def _go_on(self, index: int, reader: Reader) -> None:
        following = reader.continuation()
        if following is not None and index not in self._followed and self._lease is not None:
            self._tickets[index] = self._begin(self._lease, index, following)
        elif following is not None:
            self._followed.discard(index)

    def _measure(self, index: int, event: Delta) -> None:
        now = time.monotonic()
        last = self._last_token.get(index)
        self._last_token[index] = now
        if last is None:
            self._services.metrics.first_token(self.run.model, now - self._began)
            if not self.run.timings.first_token_seconds:
                self.run.timings.first_token_seconds = now - self._began
        else:
            self._services.metrics.between_tokens(self.run.model, now - last, max(len(event.tokens), 1))

    def _finish(self, index: int, answer: Answer, event: Event) -> None:
        self._tickets.pop(index, None)
        self.run.timings.total_seconds = time.monotonic() - self._began
        if isinstance(event, Finished):
            self._services.metrics.finished(
                self.run.model, answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens
            )

    def _cancel(self, index: int) -> None:
        ticket = self._tickets.pop(index, None)
        if ticket is not None and self._lease is not None:
            self._lease.gate.cancel(ticket)

    def _too_late(self) -> None:
        seconds = self._services.options.request_timeout
        self.interrupt(
            Problem(
                504, "timeout_error", f"The request took longer than {seconds:g} s, this server's limit; ask for less"
            )
        )

    def _write_down(self) -> None:
        """For the log; whatever has been generated counts."""
        if self._run is not None:
            self._visit.model = self._run.model
            self._visit.prompt_tokens = self._run.prompt_tokens
            self._visit.cached_tokens = self._run.cached_tokens
            self._visit.completion_tokens = self._run.completion_tokens

    def _let_go(self) -> None:
        self._is_over = True
        self._inbox.close()
        self._services.running.discard(self)
        self._write_down()
        for index in list(self._tickets):
            self._cancel(index)
        if self._lease is not None:
            self._lease.release()
        elif self._want is not None:
            self._services.models.give_up(self._want)
