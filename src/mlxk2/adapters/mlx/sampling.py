"""Drawing one token for each row of a batch, all rows at once.

A row's draw depends on its own logits and its own random words, so that a seeded request gets the same tokens alone
and in company. Filters look at the probabilities before the temperature, top-p first, then min-p, then top-k, as
mlx-lm's do. Each keeps some of the most probable tokens, so that what passes them all is found in one sorted list; only
top-k needs that list, and without it nothing is sorted.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlxk2.adapters.mlx.chances import Chances, chances_of
from mlxk2.adapters.mlx.noise import gumbel
from mlxk2.adapters.mlx.penalties import Penalties
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.structures import forbid, penalties_by_byte
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
        self._by_byte = penalties_by_byte() if self.structured else None
        self._penalties = Penalties(rows)
        self._asking = [i for i, row in enumerate(rows) if row.request.logprobs is not None]
        kinds: dict[tuple[Callable[..., Any], int], list[int]] = {}
        for i, row in enumerate(rows):
            kinds.setdefault(_way(row.request.sampling), []).append(i)
        self._groups = [(draw, _Group(indices, rows, width)) for (draw, width), indices in kinds.items()]
        self._places = _inverse([i for _, group in self._groups for i in group.indices])

    def __call__(self, logits: Any) -> Drawn:
        """Logits are rows by vocabulary, after the last token of each row's list."""
        import mlx.core as mx

        raw = logits.astype(mx.float32)
        logits = self._penalties.apply(mx.stop_gradient(raw))
        if self.structured:
            rows = mx.array(self.structured)
            allowed = [matcher.allowed() for i in self.structured if (matcher := self.rows[i].matcher)]
            logits[rows] = forbid(logits[rows], allowed, self._by_byte)
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
    """Rows that are drawn in the same way, with their parameters as columns; None where no row asks for it."""

    def __init__(self, indices: Sequence[int], rows: Sequence[Row], width: int) -> None:
        self.indices = indices
        self.width = width
        self._rows = [rows[i] for i in indices]
        samplings = [row.request.sampling for row in self._rows]
        self.temperature = _column(sampling.temperature or 1.0 for sampling in samplings)
        # A sum of rounded probabilities may reach 1 before the last token: top-p 1 is off, not 1.
        self.top_p = _asked((s.top_p if s.top_p < 1 else math.inf for s in samplings), math.inf)
        self.top_k = _asked((sampling.top_k or math.inf for sampling in samplings), math.inf)
        self.log_min_p = _asked((math.log(s.min_p) if s.min_p else -math.inf for s in samplings), -math.inf)

    def keys(self) -> tuple[Any, Any]:
        """Two columns of fresh random words, two of each row's own."""
        import mlx.core as mx

        keys = mx.array([row.key() for row in self._rows], dtype=mx.uint32)
        return keys[:, :1], keys[:, 1:]


def _column(values: Iterable[float]) -> Any:
    import mlx.core as mx

    return mx.array([[value] for value in values], dtype=mx.float32)


def _asked(values: Iterable[float], off: float) -> Any:
    """A column, or None when every value is `off`."""
    known = list(values)
    return None if all(value == off for value in known) else _column(known)


def _way(sampling: Sampling) -> tuple[Callable[[Any, _Group], Any], int]:
    """How to draw, and among how many of the most probable tokens if that is known; 0 stands for the vocabulary."""
    if sampling.temperature == 0:
        return _greedy, 0
    if 0 < sampling.top_k <= _WIDTHS[-1]:
        return _narrow, next(width for width in _WIDTHS if sampling.top_k <= width)
    if sampling.top_k:
        return _wide, 0
    return (_nucleus if sampling.top_p < 1 else _unsorted), 0


def _greedy(logits: Any, _: _Group) -> Any:
    import mlx.core as mx

    return mx.argmax(logits, axis=-1)


def _unsorted(logits: Any, group: _Group) -> Any:
    """Neither top-p nor top-k: every token keeps its place."""
    import mlx.core as mx

    return mx.argmax(_scores_of_all(logits, group), axis=-1)


def _nucleus(logits: Any, group: _Group) -> Any:
    """Top-p without top-k: draw from the whole vocabulary, and again where a token is drawn that top-p rules out.

    Such a token rules out all that are not more probable than itself. What is left shrinks to a fraction each time, so
    that a few rounds do, however flat the distribution is; the most probable token is never ruled out.
    """
    import mlx.core as mx

    scores = _scores_of_all(logits, group)
    chances = mx.softmax(logits, axis=-1)
    while True:
        places = mx.argmax(scores, axis=-1, keepdims=True)
        chance = mx.take_along_axis(chances, places, axis=-1)
        before = mx.sum(chances * (chances > chance), axis=-1, keepdims=True)
        is_out = (before > 0) & (before >= group.top_p)
        if not mx.any(is_out).item():
            return places[:, 0]
        scores = mx.where(is_out & (chances <= chance), -math.inf, scores)


def _scores_of_all(logits: Any, group: _Group) -> Any:
    """The token with the largest score is the one that is drawn; minus infinity where min-p rules it out."""
    import mlx.core as mx

    scores = logits / group.temperature + gumbel(mx.arange(logits.shape[-1])[None], *group.keys())
    if group.log_min_p is None:
        return scores
    top = mx.max(logits, axis=-1, keepdims=True)
    return mx.where(logits - top >= group.log_min_p, scores, -math.inf)


def _narrow(logits: Any, group: _Group) -> Any:
    """Every row has a small top-k: the rest of the vocabulary needs no order."""
    return _drawn(logits, _most_probable(logits, group.width), group)


def _wide(logits: Any, group: _Group) -> Any:
    import mlx.core as mx

    return _drawn(logits, mx.argsort(-logits, axis=-1), group)


def _most_probable(logits: Any, width: int) -> Any:
    """The ids of the `width` most probable tokens, best first."""
    import mlx.core as mx

    width = min(width, logits.shape[-1])
    some = mx.argpartition(-logits, kth=width - 1, axis=-1)[:, :width]
    order = mx.argsort(-mx.take_along_axis(logits, some, axis=-1), axis=-1)
    return mx.take_along_axis(some, order, axis=-1)


def _drawn(logits: Any, tokens: Any, group: _Group) -> Any:
    """One of `tokens` (rows by width, most probable first) that passes the filters."""
    import mlx.core as mx

    known = mx.take_along_axis(logits, tokens, axis=-1)
    scores = known / group.temperature + gumbel(tokens, *group.keys())
    if group.top_p is not None:
        probabilities = mx.exp(known - mx.logsumexp(logits, axis=-1, keepdims=True))
        before = mx.cumsum(probabilities, axis=-1) - probabilities
        scores = mx.where(before < group.top_p, scores, -math.inf)
    if group.log_min_p is not None:
        scores = mx.where(known - known[:, :1] >= group.log_min_p, scores, -math.inf)
    if group.top_k is not None:
        scores = mx.where(mx.arange(tokens.shape[-1])[None] < group.top_k, scores, -math.inf)
    place = mx.argmax(scores, axis=-1, keepdims=True)
    return mx.take_along_axis(tokens, place, axis=-1)[:, 0]


def _inverse(order: Sequence[int]) -> list[int]:
    places = [0] * len(order)
    for place, index in enumerate(order):
        places[index] = place
    return places
