"""Drawing one token for each row of a batch, all rows at once.

A row's draw depends on its own logits and its own random words, so that a seeded request gets the same tokens alone
and in company. Filters look at the probabilities before the temperature, top-p first, then min-p, then top-k, as
mlx-lm's do; since each keeps some of the most probable tokens, what passes them all is found in one sorted list.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlxk2.adapters.mlx.chances import Chances, chances_of
from mlxk2.adapters.mlx.noise import gumbel
from mlxk2.adapters.mlx.penalties import Penalties
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.structures import forbid
from mlxk2.ports.generation import Sampling

_WIDTHS = (32, 128, 1024)
"""So many of the most probable tokens are sorted instead of the vocabulary: as few as a row's top-k allows.

A row's own top-k decides, and not the largest around it: among equal logits, which come first depends on the number.
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The drawn tokens, not computed yet, and the log-probabilities for the rows that asked."""

    tokens: Any
    chances: Chances | None

    def blocks(self) -> list[Chances]:
        """The log-probabilities as a list, to which those of other batches may be added."""
        return [self.chances] if self.chances else []


class BatchSampler:
    """For one set of rows; made anew when a row joins or leaves."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.structured = [i for i, row in enumerate(rows) if row.matcher]
        self._penalties = Penalties(rows)
        self._asking = [i for i, row in enumerate(rows) if row.request.logprobs is not None]
        kinds: dict[tuple[Callable[..., Any], int], list[int]] = {}
        for i, row in enumerate(rows):
            kinds.setdefault(_way(row.request.sampling), []).append(i)
        self._groups = [(draw, _Group(indices, rows, width)) for (draw, width), indices in kinds.items()]
        self._places = _inverse([i for _, group in self._groups for i in group.indices])

    def __call__(self, logits: Any, inputs: Any, *, first: bool) -> Drawn:
        """Logits are rows by vocabulary, `inputs` the tokens they follow on, which the rows' lists hold if `first`."""
        import mlx.core as mx

        raw = logits.astype(mx.float32)
        logits = self._penalties.apply(mx.stop_gradient(raw), inputs, first=first)
        if self.structured:
            rows = mx.array(self.structured)
            allowed = [matcher.allowed() for i in self.structured if (matcher := self.rows[i].matcher)]
            logits[rows] = forbid(logits[rows], allowed)
        tokens = self._draw(logits)
        chances = chances_of(raw, tokens, [self.rows[i] for i in self._asking], self._asking) if self._asking else None
        return Drawn(tokens, chances)

    def _draw(self, logits: Any) -> Any:
        import mlx.core as mx

        if len(self._groups) == 1:
            draw, group = self._groups[0]
            return draw(logits, group)
        parts = [draw(logits[mx.array(list(group.indices))], group) for draw, group in self._groups]
        return mx.concatenate(parts)[mx.array(self._places)]


class _Group:
    """Rows that are drawn in the same way, with their parameters as columns."""

    def __init__(self, indices: Sequence[int], rows: Sequence[Row], width: int) -> None:
        import mlx.core as mx

        self.indices = indices
        self._rows = [rows[i] for i in indices]
        samplings = [row.request.sampling for row in self._rows]
        self.width = width
        self.temperature = mx.array([[sampling.temperature or 1.0] for sampling in samplings])
        # A sum of rounded probabilities may reach 1 before the last token: top-p 1 is off, not 1.
        self.top_p = mx.array([[sampling.top_p if sampling.top_p < 1 else math.inf] for sampling in samplings])
        self.top_k = mx.array([[sampling.top_k or 2**31 - 1] for sampling in samplings])
        self.log_min_p = mx.array([[math.log(s.min_p) if s.min_p else -math.inf] for s in samplings])

    def keys(self) -> tuple[Any, Any]:
        """Two columns of fresh random words, two of each row's own."""
        import mlx.core as mx

        keys = mx.array([row.key() for row in self._rows], dtype=mx.uint32)
        return keys[:, :1], keys[:, 1:]


def _way(sampling: Sampling) -> tuple[Callable[[Any, _Group], Any], int]:
    """How to draw, and among how many of the most probable tokens if that is known; 0 stands for the vocabulary."""
    if sampling.temperature == 0:
        return _greedy, 0
    if 0 < sampling.top_k <= _WIDTHS[-1]:
        return _narrow, next(width for width in _WIDTHS if sampling.top_k <= width)
    return (_wide if sampling.top_p < 1 or sampling.top_k else _unsorted), 0


def _greedy(logits: Any, _: _Group) -> Any:
    import mlx.core as mx

    return mx.argmax(logits, axis=-1)


def _unsorted(logits: Any, group: _Group) -> Any:
    """Neither top-p nor top-k: every token keeps its place."""
    import mlx.core as mx

    logits = logits - mx.max(logits, axis=-1, keepdims=True)
    passes = logits >= group.log_min_p
    return mx.argmax(_scores(logits, passes, mx.arange(logits.shape[-1])[None], group), axis=-1)


def _narrow(logits: Any, group: _Group) -> Any:
    """Every row has a small top-k: the rest of the vocabulary needs no order."""
    import mlx.core as mx

    width = min(group.width, logits.shape[-1])
    some = mx.argpartition(-logits, kth=width - 1, axis=-1)[:, :width]
    order = mx.argsort(-mx.take_along_axis(logits, some, axis=-1), axis=-1)
    return _filtered(logits, mx.take_along_axis(some, order, axis=-1), group)


def _wide(logits: Any, group: _Group) -> Any:
    import mlx.core as mx

    return _filtered(logits, mx.argsort(-logits, axis=-1), group)


def _filtered(logits: Any, tokens: Any, group: _Group) -> Any:
    """One of `tokens` (rows by width, most probable first) that passes the filters."""
    import mlx.core as mx

    total = mx.logsumexp(logits, axis=-1, keepdims=True)
    logprobs = mx.take_along_axis(logits, tokens, axis=-1) - total
    probabilities = mx.exp(logprobs)
    before = mx.cumsum(probabilities, axis=-1) - probabilities
    top = logprobs[:, :1]
    passes = (before < group.top_p) & (logprobs >= top + group.log_min_p)
    passes = passes & (mx.arange(tokens.shape[-1])[None] < group.top_k)
    place = mx.argmax(_scores(logprobs - top, passes, tokens, group), axis=-1, keepdims=True)
    return mx.take_along_axis(tokens, place, axis=-1)[:, 0]


def _scores(logprobs: Any, passes: Any, tokens: Any, group: _Group) -> Any:
    """The largest is the one that is drawn; minus infinity for what does not pass."""
    import mlx.core as mx

    return mx.where(passes, logprobs / group.temperature + gumbel(tokens, *group.keys()), -math.inf)


def _inverse(order: Sequence[int]) -> list[int]:
    places = [0] * len(order)
    for place, index in enumerate(order):
        places[index] = place
    return places
