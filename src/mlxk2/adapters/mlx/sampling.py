"""Drawing one token for each row of a batch, all rows at once.

A row's draw depends on its own logits and its own random number, so that a seeded request gets the same tokens alone
and in company. Filters look at the probabilities before the temperature, top-p first, then min-p, then top-k, as
mlx-lm's do; since each keeps some of the most probable tokens, what passes them all is found in one sorted list.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlxk2.adapters.mlx.chances import Chances, chances_of
from mlxk2.adapters.mlx.penalties import Penalties
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.structures import forbid
from mlxk2.ports.generation import Sampling

_NARROW = 1024
"""Up to this top-k, sorting that many tokens instead of the vocabulary pays."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The drawn tokens, not computed yet, and the log-probabilities for the rows that asked."""

    tokens: Any
    chances: Chances | None


class BatchSampler:
    """For one set of rows; made anew when a row joins or leaves."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.structured = [i for i, row in enumerate(rows) if row.matcher]
        self._penalties = Penalties(rows)
        self._asking = [i for i, row in enumerate(rows) if row.request.logprobs is not None]
        kinds: dict[Callable[..., Any], list[int]] = {}
        for i, row in enumerate(rows):
            kinds.setdefault(_way(row.request.sampling), []).append(i)
        self._groups = [(draw, _Group(indices, rows)) for draw, indices in kinds.items()]
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

    def __init__(self, indices: Sequence[int], rows: Sequence[Row]) -> None:
        import mlx.core as mx

        self.indices = indices
        self._rows = [rows[i] for i in indices]
        samplings = [row.request.sampling for row in self._rows]
        self.widest = max(sampling.top_k for sampling in samplings)
        self.temperature = mx.array([[sampling.temperature or 1.0] for sampling in samplings])
        self.top_p = mx.array([[sampling.top_p] for sampling in samplings])
        self.top_k = mx.array([[sampling.top_k or 2**31 - 1] for sampling in samplings])
        self.log_min_p = mx.array([[math.log(s.min_p) if s.min_p else -math.inf] for s in samplings])

    def draws(self) -> Any:
        """A column of fresh random numbers, one of each row's own."""
        import mlx.core as mx

        return mx.array([[row.draw()] for row in self._rows], dtype=mx.float32)


def _way(sampling: Sampling) -> Callable[[Any, _Group], Any]:
    if sampling.temperature == 0:
        return _greedy
    if 0 < sampling.top_k <= _NARROW:
        return _narrow
    return _wide if sampling.top_p < 1 or sampling.top_k else _unsorted


def _greedy(logits: Any, _: _Group) -> Any:
    import mlx.core as mx

    return mx.argmax(logits, axis=-1)


def _unsorted(logits: Any, group: _Group) -> Any:
    """Neither top-p nor top-k: every token keeps its place."""
    import mlx.core as mx

    top = mx.max(logits, axis=-1, keepdims=True)
    return _pick(logits - top, logits - top >= group.log_min_p, group)[:, 0]


def _narrow(logits: Any, group: _Group) -> Any:
    """Every row has a small top-k: the rest of the vocabulary needs no order."""
    import mlx.core as mx

    width = min(group.widest, logits.shape[-1])
    some = mx.argpartition(-logits, kth=width - 1, axis=-1)[:, :width]
    return _filtered(logits, some, group)


def _wide(logits: Any, group: _Group) -> Any:
    return _filtered(logits, None, group)


def _filtered(logits: Any, some: Any, group: _Group) -> Any:
    """Of the tokens `some` (rows by width), or of all, what passes the filters, and one drawn of them."""
    import mlx.core as mx

    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    if some is not None:
        logprobs = mx.take_along_axis(logprobs, some, axis=-1)
    order = mx.argsort(-logprobs, axis=-1)
    logprobs = mx.take_along_axis(logprobs, order, axis=-1)
    probabilities = mx.exp(logprobs)
    before = mx.cumsum(probabilities, axis=-1) - probabilities
    top = logprobs[:, :1]
    passes = (before < group.top_p) & (logprobs >= top + group.log_min_p)
    passes = passes & (mx.arange(logprobs.shape[-1])[None] < group.top_k)
    rank = _pick(logprobs - top, passes, group)
    token = mx.take_along_axis(order, rank, axis=-1)
    return (token if some is None else mx.take_along_axis(some, token, axis=-1))[:, 0]


def _pick(logprobs: Any, passes: Any, group: _Group) -> Any:
    """The place (rows by 1) at which the sum of what passes exceeds the row's random number."""
    import mlx.core as mx

    weights = mx.where(passes, mx.exp(logprobs / group.temperature), 0)
    sums = mx.cumsum(weights, axis=-1)
    return mx.argmax(sums > group.draws() * sums[:, -1:], axis=-1, keepdims=True)


def _inverse(order: Sequence[int]) -> list[int]:
    places = [0] * len(order)
    for place, index in enumerate(order):
        places[index] = place
    return places
