"""One request on its way through the engine: what it asked for, what it has got, and what its sink was told."""

import random
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from mlxk2.adapters.mlx.caches import Caches
from mlxk2.adapters.mlx.structures import Matcher
from mlxk2.ports.engine import RequestId
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    Sink,
    TokenLogprobs,
)


class Row:
    """`limit` is the most tokens to generate. `position` counts the tokens that `caches` hold."""

    def __init__(self, request_id: RequestId, request: GenerationRequest, sink: Sink, *, limit: int) -> None:
        self.id = request_id
        self.request = request
        self.limit = limit
        self.matcher: Matcher | None = None
        self.tokens = list(request.prompt)
        self.counts: Counter[int] = Counter()
        self.caches: Caches | None = None
        self.position = 0
        self.cached = 0
        self.done = False
        self.alone = False
        self._sink = sink
        self._detokenizer: Any = None
        self._seed = random.SystemRandom().getrandbits(64) if request.sampling.seed is None else request.sampling.seed
        self._draws = random.Random(self._seed)  # noqa: S311 - the seed is the user's
        self._started = time.perf_counter()
        self._first: float | None = None

    @property
    def prompt_length(self) -> int:
        return len(self.request.prompt)

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt_length

    @property
    def unprocessed(self) -> int:
        """How many tokens are to be computed before the one that the next draw follows on."""
        return len(self.tokens) - 1 - self.position

    def key(self) -> tuple[int, int]:
        """The next two of this request's random 32-bit words: one pair for each token that is drawn."""
        return self._draws.getrandbits(32), self._draws.getrandbits(32)

    def begin_again(self) -> None:
        """Forget what was computed, but not what was said: the caches are lost, the tokens stand."""
        self.caches, self.position, self.cached = None, 0, 0
        self._draws = random.Random(self._seed)  # noqa: S311
        for _ in range(self.generated):
            self.key()
        if self.matcher:
            self.matcher.begin_again(self.tokens[self.prompt_length :])

    def progress(self) -> None:
        """Tell how much of the prompt is processed; the last token of it goes with the first step."""
        if not self.generated:
            done = min(self.position, self.prompt_length - 1)
            whole = done == self.prompt_length - 1
            self.emit(PromptProgress(self.prompt_length if whole else done, self.prompt_length, self.cached))

    def take(self, token: int, logprobs: TokenLogprobs | None, detokenizer: Any, *, is_end: bool) -> None:
        """A token was generated: tell of it, and of the end if it is the last. `detokenizer` is for the first one."""
        self.tokens.append(token)
        self.counts[token] += 1
        if self._first is None:
            self._first = time.perf_counter() - self._started
            self._detokenizer = detokenizer()
        if is_end:
            self.finish(FinishReason.STOP)
            return
        self._detokenizer.add_token(token)
        text = self._detokenizer.last_segment
        self.emit(Delta(text, self.generated, (token,), () if logprobs is None else (logprobs,)))
        if self.matcher and self.matcher.complete:
            self.finish(FinishReason.STOP)
        elif self.generated >= self.limit:
            self.finish(FinishReason.LENGTH)

    def finish(self, reason: FinishReason) -> None:
        if self.done:
            return
        with suppress(Exception):  # half a character that cannot be decoded is no reason not to end
            if self._detokenizer is not None:
                self._detokenizer.finalize()
                if rest := self._detokenizer.last_segment:
                    self.emit(Delta(rest, self.generated))
        elapsed = time.perf_counter() - self._started
        self._end(Finished(reason, self.prompt_length, self.generated, self._first or 0.0, elapsed, self.cached))

    def fail(self, error: Mlxk2Error) -> None:
        if not self.done:
            self._end(Failed(error))

    def emit(self, event: Event) -> None:
        """A sink that raises is told nothing more, and its request ends."""
        if self.done:
            return
        try:
            self._sink(event)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is wrong with this request alone
            self.done = True

    def _end(self, event: Event) -> None:
        self.emit(event)
        self.done = True
        self.caches = None
