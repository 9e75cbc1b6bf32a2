"""What changes a batch's logits before tokens are drawn: biases and penalties, as array operations for all rows."""

from collections.abc import Sequence
from typing import Any, TypeVar

from mlxk2.adapters.mlx.row import Row
from mlxk2.ports.generation import REPETITION_WINDOW

T = TypeVar("T")

_NOTHING = -1
"""Stands where a row has fewer tokens than the widest."""


class Penalties:
    """For one batch. `apply` costs nothing for rows that asked for nothing."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._biased = [i for i, row in enumerate(rows) if row.request.sampling.logit_bias]
        self._repeated = [i for i, row in enumerate(rows) if row.request.sampling.repetition_penalty != 1]
        self._counted = [i for i, row in enumerate(rows) if _counts(row)]
        self._bias = self._biases() if self._biased else None

    def apply(self, logits: Any) -> Any:
        """New logits (rows by vocabulary)."""
        if self._repeated:
            logits = self._repetition(logits)
        if self._counted:
            logits = self._frequency(logits)
        if self._bias:
            rows, tokens, amounts = self._bias
            logits = logits.at[rows, tokens].add(amounts)
        return logits

    def _biases(self) -> tuple[Any, Any, Any]:
        import mlx.core as mx

        biases = [self._rows[i].request.sampling.logit_bias for i in self._biased]
        tokens = _table([[token for token, _ in bias] for bias in biases], 0)
        amounts = _table([[amount for _, amount in bias] for bias in biases], 0.0)
        return mx.array(self._biased)[:, None], mx.array(tokens), mx.array(amounts, dtype=mx.float32)

    def _repetition(self, logits: Any) -> Any:
        import mlx.core as mx

        rows = mx.array(self._repeated)
        recent = mx.array([_window(self._rows[i]) for i in self._repeated], dtype=mx.int32)
        penalty = mx.array([[self._rows[i].request.sampling.repetition_penalty] for i in self._repeated])
        chosen = mx.take_along_axis(logits[rows], recent, axis=-1)
        logits[rows[:, None], recent] = mx.where(chosen < 0, chosen * penalty, chosen / penalty)
        return logits

    def _frequency(self, logits: Any) -> Any:
        import mlx.core as mx

        rows = mx.array(self._counted)[:, None]
        samplings = [self._rows[i].request.sampling for i in self._counted]
        counts = [list(self._rows[i].counts.items()) for i in self._counted]
        tokens = mx.array(_table([[token for token, _ in row] for row in counts], _NOTHING, width=1), dtype=mx.int32)
        times = mx.array(_table([[count for _, count in row] for row in counts], 0, width=1))
        frequency = mx.array([[sampling.frequency_penalty] for sampling in samplings])
        presence = mx.array([[sampling.presence_penalty] for sampling in samplings])
        amounts = mx.where(tokens == _NOTHING, 0, frequency * times + presence)
        return logits.at[rows, mx.maximum(tokens, 0)].add(-amounts)


def _window(row: Row) -> list[int]:
    """The tokens that the repetition penalty looks at; where there are fewer, the last one again."""
    recent = row.tokens[-REPETITION_WINDOW:]
    return recent + recent[-1:] * (REPETITION_WINDOW - len(recent))


def _counts(row: Row) -> bool:
    sampling = row.request.sampling
    return sampling.presence_penalty != 0 or sampling.frequency_penalty != 0


def _table(lists: Sequence[Sequence[T]], filler: T, *, width: int = 0) -> list[list[T]]:
    """Lists of one length, at least `width`."""
    width = max(width, *(len(row) for row in lists))
    return [[*row, *[filler] * (width - len(row))] for row in lists]
