"""A loaded model with all that belongs to it, as the engine's thread sees it; a restart loads the model again."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from mlxk2.adapters.mlx.caches import can_always_cut, new_caches
from mlxk2.adapters.mlx.loading import LoadedModel
from mlxk2.adapters.mlx.measuring import (
    active_bytes,
    describe,
    limit_memory,
    peak_bytes,
    release_all,
    release_buffers,
)
from mlxk2.adapters.mlx.prefix_cache import PrefixCache
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.scheduler import Counters, Scheduler, StepFailed
from mlxk2.adapters.mlx.structures import Matcher, StructureCompiler
from mlxk2.adapters.mlx.text import TextSide
from mlxk2.ports.engine import EngineInfo, EngineStats, LoadOptions, RequestId
from mlxk2.ports.errors import EngineFailure
from mlxk2.ports.generation import FinishReason, GenerationRequest, Structure
from mlxk2.ports.system import Machine

_TURNS_BETWEEN_LOOKS = 32
"""So many turns pass before memory is looked at again while the same number of requests is at work."""


_TURNS_BETWEEN_RELEASES = 512
"""Arrays of every length that a step has had stay with MLX for reuse until they are released."""
_TURNS_BEFORE_A_REST = 64
"""After fewer turns there is too little to release when the engine comes to rest."""


class Core:
    """Only the engine's thread calls it, except for `info`, `stats`, `text`, `limit` and `compile`."""

    def __init__(
        self,
        load: Callable[[], LoadedModel],
        options: LoadOptions,
        machine: Machine,
        tell: Callable[[str], None],
        told: Callable[[int], None],
    ) -> None:
        """`tell` hears the stages of loading; `told` how many requests are left, as soon as a turn has tokens."""
        self._load = load
        self._machine = machine
        self._tell = tell
        self._told = told
        self._end: EngineFailure | None = None
        self._trouble: EngineFailure | None = None
        self._counters = Counters()
        self._restarts = 0
        self._released_at = 0
        self._looked_at: tuple[int, int] | None = None
        self._memory = EngineStats()
        self._store = PrefixCache(options.prefix_cache_bytes)
        tell("loading the weights")
        loaded = load()
        limit_memory(options.memory_limit)
        tell("taking the model's measure")
        self.info: EngineInfo = describe(loaded, options)
        self.text = TextSide(loaded.tokenizer, self.info, with_borders=not can_always_cut(new_caches(loaded.model)))
        self._compiler = StructureCompiler(loaded.tokenizer, self.info.vocab_size)
        self._scheduler: Scheduler | None = self._schedule(loaded)
        self._look()

    @property
    def rows(self) -> list[Row]:
        return self._scheduler.rows if self._scheduler else []

    @property
    def busy(self) -> int:
        return self._scheduler.busy if self._scheduler else 0

    def limit(self, request: GenerationRequest) -> int:
        """The most tokens that the request may get: what it asks for, up to the context's end."""
        context = self.info.context_length
        return request.max_tokens if context is None else min(request.max_tokens, context - len(request.prompt))

    def compile(self, structure: Structure) -> Matcher:
        """Raises ValidationError when it cannot be compiled."""
        return self._compiler.compile(structure)

    def add(self, row: Row) -> None:
        if self._scheduler is None and self._end is None:
            self._load_again()
        self._let_wait(row)

    def _let_wait(self, row: Row) -> None:
        if self._scheduler:
            self._scheduler.waiting.append(row)
        else:
            row.fail(self._end or self._trouble or EngineFailure("The model is not loaded; try it again"))

    def cancel(self, request_id: RequestId) -> None:
        for row in self.rows:
            if row.id == request_id:
                row.finish(FinishReason.CANCELLED)

    def turn(self) -> None:
        """Does nothing while nobody is at work."""
        if self._scheduler is None or not self._scheduler.busy:
            return
        failed = False
        try:
            self._scheduler.turn()
        except StepFailed:
            failed = True
        if failed:  # the exception is gone by now, and with it the last that held on to the old model
            self._restart(list(self._scheduler.waiting))
        with suppress(Exception):  # numbers that cannot be had are no reason to stop
            if self._is_time_to_release(_TURNS_BETWEEN_RELEASES):
                release_buffers(self._machine)
            self._look()

    def rest(self) -> None:
        """Nobody is at work, and nobody is waiting to be."""
        with suppress(Exception):
            if self._is_time_to_release(_TURNS_BEFORE_A_REST):
                release_all(self._machine)

    def _is_time_to_release(self, turns: int) -> bool:
        due = self._counters.steps - self._released_at >= turns
        if due:
            self._released_at = self._counters.steps
        return due

    def close(self, reason: EngineFailure | None = None) -> None:
        """For good; `reason` is what requests hear that still come."""
        self._end = reason or EngineFailure("The engine is closed; load the model again")
        self._drop()

    def _drop(self) -> None:
        self._scheduler = None
        self._store.clear()
        release_all(self._machine)

    def _schedule(self, loaded: LoadedModel) -> Scheduler:
        return Scheduler(loaded, self.info, self._store, self.text.of_token, self._counters, self._told)

    def _restart(self, waiting: Iterable[Row]) -> None:
        """What the model had computed is dropped, and the model loaded again for those who have not begun."""
        self._drop()
        self._load_again()
        for row in waiting:
            self._let_wait(row)

    def _load_again(self) -> None:
        """If that fails, the next request tries it again."""
        self._restarts += 1
        try:
            self._tell("loading the weights again")
            self._scheduler = self._schedule(self._load())
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            reason = str(error) or type(error).__name__
            self._trouble = EngineFailure(f"The engine broke, and the model could not be loaded again: {reason}")

    def stats(self) -> EngineStats:
        """From any thread: counts are live, memory as it was seen last."""
        scheduler, counters = self._scheduler, self._counters
        waiting, prefilling, decoding = scheduler.at_work() if scheduler else (0, 0, 0)
        return self._memory._replace(
            waiting=waiting,
            prefilling=prefilling,
            decoding=decoding,
            steps=counters.steps,
            generated_tokens=counters.generated,
            prompt_tokens=counters.prompt,
            cached_tokens=counters.cached,
            restarts=self._restarts,
        )

    def _look(self) -> None:
        """At the memory: when another number of requests decodes than at the last look, and every few turns."""
        batch = self._scheduler.batch if self._scheduler else None
        moment = (len(batch.rows) if batch else 0, self._counters.steps // _TURNS_BETWEEN_LOOKS)
        if moment == self._looked_at:
            return
        self._looked_at = moment
        self._memory = EngineStats(
            kv_bytes=batch.size_bytes if batch else 0,
            prefix_cache_bytes=self._store.size_bytes,
            prefix_cache_entries=len(self._store),
            active_bytes=active_bytes(),
            peak_bytes=peak_bytes(),
            resident_bytes=self._machine.resident_memory() or 0,
        )
