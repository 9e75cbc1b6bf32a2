"""The turns of an engine: who waits, whose prompt is processed, who decodes, and what becomes of them on a failure.

Everything here runs in the thread that owns MLX. A turn is a few pieces of prompts and one step of those who decode, so
that a newcomer waits for neither a quota of steps nor a long prompt. What is wrong with one row ends that row. A step
that raises ends nobody at first: the caches are lost, the tokens are not, and each row's are processed again, alone,
which finds the one at fault. If the next step raises as well, or two rows in a row that are alone, then the rows are
not to blame, and the model is loaded again.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.batch import Batch, Taken
from mlxk2.adapters.mlx.loading import LoadedModel
from mlxk2.adapters.mlx.prefill import BUSY_SECONDS, Prefill
from mlxk2.adapters.mlx.prefix_cache import PrefixStore
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.text import new_detokenizer
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import EngineFailure, ValidationError


class StepFailed(Exception):
    """Two steps in a row raised: the model has to be loaded again."""


@dataclass(slots=True)
class Counters:
    """What an engine has done since it was made, restarts included; tokens but for `steps`."""

    steps: int = 0
    generated: int = 0
    prompt: int = 0
    cached: int = 0


class Scheduler:
    """For one loaded model. `text` gives a token's text for log-probabilities.

    `told` is called within a turn, when tokens have been told that should not wait for its end; it hears how many rows
    are not finished.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        info: EngineInfo,
        store: PrefixStore,
        text: Callable[[int], str],
        counters: Counters,
        told: Callable[[int], None],
    ) -> None:
        self.waiting: deque[Row] = deque()
        self.batch: Batch | None = None
        self._ready: list[Batch] = []
        self._to_keep: list[tuple[list[int], kv.Caches]] = []
        self._counters = counters
        self._told = told
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self._ends = frozenset(int(token) for token in loaded.tokenizer.eos_token_ids)
        self._store = store
        self._text = text
        self._max_rows = info.max_rows
        self.prefill = Prefill(loaded.model, store)
        self._step_failed = False
        self._failed_alone = 0

    @property
    def rows(self) -> list[Row]:
        """Everyone who is not finished."""
        return [*self.waiting, *self._begun]

    @property
    def _begun(self) -> list[Row]:
        return [*self.prefill.rows, *(row for batch in self._batches for row in batch.rows)]

    @property
    def _batches(self) -> list[Batch]:
        """Those who decode, and those who have just got their first tokens."""
        return [*([self.batch] if self.batch else []), *self._ready]

    @property
    def busy(self) -> int:
        return len(self.waiting) + len(self._begun)

    @property
    def _unfinished(self) -> int:
        """As `busy`, without those who are done and will be dropped."""
        return sum(not row.done for row in self.rows)

    def at_work(self) -> tuple[int, int, int]:
        """How many wait, have their prompts processed, and decode; for any thread that wants to know."""
        decoding = self.batch.rows if self.batch else []
        return tuple(sum(not row.done for row in list(rows)) for rows in (self.waiting, self.prefill.rows, decoding))  # type: ignore[return-value]

    def turn(self) -> None:
        """Raises StepFailed when the model must be loaded again; all but those who wait have failed then."""
        self._counters.steps += 1
        try:
            self._drop_the_done()
            self._admit()
            self._draw()
            self._process_prompts()
            self._decode()
        except StepFailed:
            raise
        except BaseException as error:  # noqa: BLE001 - wherever it comes from, nobody may wait for ever
            self._give_up(error)

    def _drop_the_done(self) -> None:
        if any(row.done for row in self.waiting):
            self.waiting = deque(row for row in self.waiting if not row.done)
        self.prefill.rows = [row for row in self.prefill.rows if not row.done]
        if self.batch:
            try:
                self.batch.keep(lambda row: not row.done)
            except BaseException as error:  # noqa: BLE001 - the caches are lost, as after a step that raised
                self._lose_batch(error)
        if self.batch and not self.batch.rows:
            self.batch = None

    def _draw(self) -> None:
        if self.batch is None:
            return
        try:
            if self.batch.draw():
                self._step_failed = False
        except BaseException as error:  # noqa: BLE001 - as in a step
            self._lose_batch(error)

    def _decode(self) -> None:
        if self.batch is None:
            return
        try:
            self.batch.step(partial(self._tell_drawn, self.batch))
        except BaseException as error:  # noqa: BLE001 - whatever MLX or the model raises, the rows are worth saving
            self._lose_batch(error)
            return
        self._failed_alone = 0
        for row in list(self.batch.rows):
            if row.done:
                self._keep_prefix(row)
        self._drop_the_done()
        if self.batch is None:
            self._step_failed = False

    def _tell_drawn(self, batch: Batch) -> None:
        """While the pass over these tokens runs: whoever passes them on need not wait for its end."""
        taken = batch.tell(self._text)
        self._take_all(taken)
        if taken:
            self._told(self._unfinished)

    def _take_all(self, taken: list[Taken]) -> None:
        for row, token, logprobs in taken:
            if not row.done:
                self._take(row, token, logprobs)

    def _take(self, row: Row, token: int, logprobs: Any) -> None:
        self._counters.generated += 1
        if row.matcher and (problem := row.matcher.problem):
            row.fail(ValidationError(problem, parameter="structure"))
            return
        try:
            row.take(token, logprobs, lambda: new_detokenizer(self._tokenizer), is_end=token in self._ends)
        except BaseException as error:  # noqa: BLE001 - a tokenizer that cannot decode its own token, and may panic
            row.fail(_failure("The text of the answer could not be decoded", error))

    def _keep_prefix(self, row: Row) -> None:
        """A later request may go on from where this one ended."""
        with suppress(Exception):  # a copy for which there is no memory is one that nobody will miss
            if self.batch and row.generated and self._store.wants(len(row.tokens)):
                self._store.put(row.tokens, self.batch.extract(row))

    def _admit(self) -> None:
        room = self._max_rows - len(self.prefill.rows) - (len(self.batch.rows) if self.batch else 0)
        while room > 0 and self.waiting:
            row = self.waiting.popleft()
            room -= 1
            try:
                self.prefill.add(row)
            except Exception as error:  # noqa: BLE001 - this row's caches, nobody else's
                row.fail(_failure("The request could not be begun", error))
                continue
            self._counters.prompt += row.prompt_length
            self._counters.cached += row.cached

    def _process_prompts(self) -> None:
        """Groups of short prompts while there is time, and one piece of a long one; then those who are ready join.

        Joining copies the whole batch: many at once are cheaper than one by one. No first token waits for that, nor
        for the step of the others.
        """
        started = time.perf_counter()
        others = self.batch is not None
        while group := self.prefill.next_short_group(others_decode=others):
            self._bring_on(group, others_decode=others)
            if time.perf_counter() - started > BUSY_SECONDS:
                break
        if group := self.prefill.next_long(others_decode=others):
            self._bring_on(group, others_decode=others)
        self._keep_prompts()
        self._join()

    def _bring_on(self, group: list[Row], *, others_decode: bool) -> None:
        """One piece; those whose prompts are done are ready to join, without those whose first token was the last."""
        before = list(self._ready)
        try:
            ready = self.prefill.process(group, others_decode=others_decode)
            self._failed_alone = 0
            if ready:
                self._ready.append(ready)
                self._tell_first(ready)
        except BaseException as error:  # noqa: BLE001 - the rows are told
            self._ready = before
            self._retry_alone(group, error)
        self._ready = [batch for batch in self._ready if batch.rows]

    def _tell_first(self, ready: Batch) -> None:
        keeping = [(row, list(row.tokens)) for row in self.prefill.worth_keeping(ready)]
        self._take_all(ready.tell(self._text))
        with suppress(Exception):
            self._to_keep += [(tokens, ready.extract(row)) for row, tokens in keeping]
        ready.keep(lambda row: not row.done)
        self._told(self._unfinished)

    def _keep_prompts(self) -> None:
        """For others, once all first tokens of the turn are told, and before anybody writes into these caches again."""
        keeping, self._to_keep = self._to_keep, []
        for tokens, caches in keeping:
            with suppress(Exception):  # a copy for which there is no memory is one that nobody will miss
                self._store.put(tokens, caches)

    def _join(self) -> None:
        batches, self._ready = self._batches, []
        self.batch = batches[0] if batches else None
        if len(batches) < 2:
            return
        try:
            batches[0].join(batches[1:])
        except BaseException as error:  # noqa: BLE001 - the caches of all are lost
            self.batch = None
            self._save_rows(error, *batches)

    def _retry_alone(self, group: list[Row], error: BaseException) -> None:
        """One of these rows cannot be processed; those that were not alone get another try, alone."""
        for row in group:
            if row not in self.prefill.rows and not row.done:
                self.prefill.rows.append(row)
            if len(group) == 1 and row.alone:
                row.fail(_failure("The prompt could not be processed", error))
                self._failed_alone += 1
        self._begin_again([row for row in group if not row.done])
        self._drop_the_done()
        if self._failed_alone > 1:
            self._give_up(error)

    def _begin_again(self, rows: list[Row]) -> None:
        """They must be among those whose prompts are processed before this is called, which may raise."""
        for row in rows:
            row.alone = True
            row.begin_again()
            row.caches = kv.new_caches(self._model)

    def _give_up(self, error: BaseException) -> NoReturn:
        for row in self._begun:
            row.fail(_failure("The engine failed", error))
        raise StepFailed from error

    def _rescued(self, batch: Batch) -> list[Row]:
        """The rows that go on. What was drawn before the failure is good, and may be what the failure is due to."""
        with suppress(BaseException):  # a structure, too, may be what panicked, and panic again
            self._take_all(batch.read(self._text))
        return [row for row in batch.rows if not row.done]

    def _lose_batch(self, error: BaseException) -> None:
        batch, self.batch = self.batch, None
        if batch:
            self._save_rows(error, batch)

    def _save_rows(self, error: BaseException, *batches: Batch) -> None:
        """Rows of batches whose caches are lost go back to the beginning, with the tokens that they have."""
        rows = list(dict.fromkeys(row for batch in batches for row in self._rescued(batch)))
        self.prefill.rows[:0] = rows
        if self._step_failed:
            self._give_up(error)
        self._step_failed = True
        self._store.clear()
        self._begin_again(rows)


def _failure(what: str, error: BaseException) -> EngineFailure:
    return EngineFailure(f"{what}: {error or type(error).__name__}; try it again", details=type(error).__name__)
