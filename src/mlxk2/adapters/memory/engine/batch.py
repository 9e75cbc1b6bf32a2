"""The requests of one scripted engine and its steps: no thread of its own, so that the order of everything is plain.

A step takes in what has arrived, ends what was cancelled, lets waiting requests begin in their order while there are
rows free, and moves every row on by one token of its answer or one piece of its prompt.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mlxk2.adapters.memory.engine.answers import Scripts
from mlxk2.adapters.memory.engine.prefixes import PrefixBook
from mlxk2.adapters.memory.engine.row import Row
from mlxk2.ports.checking import check_request
from mlxk2.ports.engine import EngineInfo, EngineStats, RequestId
from mlxk2.ports.errors import EngineFailure, Mlxk2Error
from mlxk2.ports.generation import Event, Failed, Finished, FinishReason


@dataclass(frozen=True, slots=True)
class Manner:
    """How an engine works: so many tokens of a prompt a step; it breaks at the steps named, which count from 1."""

    prefill_chunk: int = 512
    broken_steps: Collection[int] = ()


ORDINARY = Manner()


class Batch:
    """Only the engine's thread changes it; `stats` may be read from others."""

    def __init__(self, scripts: Scripts, info: EngineInfo, prefixes: PrefixBook, manner: Manner) -> None:
        self._scripts = scripts
        self._info = info
        self._prefixes = prefixes
        self._manner = manner
        self._waiting: deque[Row] = deque()
        self._rows: tuple[Row, ...] = ()
        self._steps = self._restarts = 0
        self._prompt_tokens = self._generated_tokens = self._cached_tokens = 0

    @property
    def busy(self) -> int:
        return len(self._waiting) + len(self._rows)

    def step(self, arrivals: Iterable[Row], cancelled: Collection[RequestId]) -> None:
        self._steps += 1
        self._waiting.extend(row for row in arrivals if self._is_sound(row))
        for row in [row for row in (*self._waiting, *self._rows) if row.request_id in cancelled]:
            self._end(row, row.finished(FinishReason.CANCELLED))
        if self._steps in self._manner.broken_steps:
            self._break()
        while self._waiting and len(self._rows) < self._info.max_rows:
            self._begin(self._waiting.popleft())
        for row in self._rows:
            self._advance(row)

    def end(self, arrivals: Iterable[Row], error: Mlxk2Error | None) -> None:
        """Nobody is answered any more: the engine closes, or it broke with that error."""
        sound = [row for row in arrivals if self._is_sound(row)]
        for row in (*self._rows, *self._waiting, *sound):
            self._end(row, row.finished(FinishReason.CANCELLED) if error is None else Failed(error))

    def stats(self, arrivals: int) -> EngineStats:
        """`arrivals` requests have been started since the last step."""
        rows = self._rows
        prefilling = sum(row.is_prefilling for row in rows)
        kv_bytes = sum(_kv_bytes(self._info, row.tokens) for row in rows)
        return EngineStats(
            waiting=len(self._waiting) + arrivals,
            prefilling=prefilling,
            decoding=len(rows) - prefilling,
            steps=self._steps,
            generated_tokens=self._generated_tokens,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            restarts=self._restarts,
            kv_bytes=kv_bytes,
            prefix_cache_bytes=self._prefixes.held_bytes,
            prefix_cache_entries=len(self._prefixes),
            active_bytes=self._info.weights_bytes + kv_bytes,
        )

    def _is_sound(self, row: Row) -> bool:
        try:
            check_request(row.request, self._info)
        except Mlxk2Error as error:
            _tell(row, Failed(error))
        except BaseException as error:  # noqa: BLE001 - it is no request at all, and nobody else's fault
            _tell(row, Failed(EngineFailure(f"The request cannot be read: {error}")))
        else:
            return True
        return False

    def _begin(self, row: Row) -> None:
        request, context = row.request, self._info.context_length
        limit = request.max_tokens if context is None else min(request.max_tokens, context - len(request.prompt))
        try:
            answer = self._scripts.answer(request, limit)
        except Mlxk2Error as error:
            _tell(row, Failed(error))
        except BaseException as error:  # noqa: BLE001 - a script that fails fails its request and no other
            _tell(row, Failed(EngineFailure(f"The script of this MemoryEngine failed: {error}")))
        else:
            row.begin(answer, limit, self._prefixes.cached(request.prompt))
            self._prompt_tokens += len(request.prompt)
            self._cached_tokens += row.cached
            self._rows = (*self._rows, row)

    def _advance(self, row: Row) -> None:
        before = row.made
        event = row.advance(self._manner.prefill_chunk, self._info.vocab_size)
        self._generated_tokens += row.made - before
        if isinstance(event, Finished):
            self._prefixes.add(row.request.prompt)
            self._end(row, event)
        elif not _tell(row, event):
            self._drop(row)

    def _break(self) -> None:
        self._restarts += 1
        self._prefixes.clear()
        for row in self._rows:
            self._end(row, Failed(EngineFailure(f"The engine broke at step {self._steps}: ask again")))

    def _end(self, row: Row, event: Event) -> None:
        """Whoever is told of the end finds the request gone from the counts."""
        self._drop(row)
        _tell(row, event)

    def _drop(self, row: Row) -> None:
        self._rows = tuple(other for other in self._rows if other is not row)
        if row in self._waiting:
            self._waiting.remove(row)


def _tell(row: Row, event: Event) -> bool:
    """Whether the sink took it; one that raises hears nothing more."""
    try:
        row.sink(event)
    except BaseException:  # noqa: BLE001 - the port: a sink that raises ends its own request and no other
        return False
    return True


def _kv_bytes(info: EngineInfo, tokens: int) -> int:
    kept = ((layer.bytes_per_token, layer.window or tokens) for layer in info.kv.layers)
    return info.kv.fixed_bytes + sum(size * min(tokens, window) for size, window in kept)
