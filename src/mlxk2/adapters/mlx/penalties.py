"""What changes a batch's logits before tokens are drawn: biases and penalties, as plain array operations for all rows.

The token that a step takes as its input is not known to Python yet while the step is being set up: everything up to it
comes from lists, the input itself stays on the device.
"""

from collections.abc import Container, Sequence
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

    def apply(self, logits: Any, inputs: Any, told: Container[Row]) -> Any:
        """New logits (rows by vocabulary). The input of a row that is `told` is the last token of its list already."""
        if self._repeated:
            logits = self._repetition(logits, inputs, told)
        if self._counted:
            logits = self._frequency(logits, inputs, told)
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

    def _repetition(self, logits: Any, inputs: Any, told: Container[Row]) -> Any:
        import mlx.core as mx

        rows = mx.array(self._repeated)
        before = [_window(self._rows[i], self._rows[i] in told) for i in self._repeated]
        last = inputs[rows][:, None].astype(mx.int32)
        recent = mx.array(_table(before, _NOTHING, width=REPETITION_WINDOW - 1), dtype=mx.int32)
        recent = mx.concatenate([mx.where(recent == _NOTHING, last, recent), last], axis=1)
        penalty = mx.array([[self._rows[i].request.sampling.repetition_penalty] for i in self._repeated])
        chosen = mx.take_along_axis(logits[rows], recent, axis=-1)
        logits[rows[:, None], recent] = mx.where(chosen < 0, chosen * penalty, chosen / penalty)
        return logits

    def _frequency(self, logits: Any, inputs: Any, told: Container[Row]) -> Any:
        import mlx.core as mx

        rows = mx.array(self._counted)[:, None]
        samplings = [self._rows[i].request.sampling for i in self._counted]
        counts = [list(self._rows[i].counts.items()) for i in self._counted]
        tokens = mx.array(_table([[token for token, _ in row] for row in counts], _NOTHING, width=1), dtype=mx.int32)
        times = mx.array(_table([[count for _, count in row] for row in counts], 0, width=1))
        frequency = mx.array([[sampling.frequency_penalty] for sampling in samplings])
        presence = mx.array([[sampling.presence_penalty] for sampling in samplings])
        amounts = mx.where(tokens == _NOTHING, 0, frequency * times + presence)
        logits = logits.at[rows, mx.maximum(tokens, 0)].add(-amounts)
        untold = mx.array([[0.0 if self._rows[i] in told else 1.0] for i in self._counted])
        last = inputs[rows[:, 0]][:, None].astype(mx.int32)
        is_new = mx.logical_not(mx.any(tokens == last, axis=1, keepdims=True))
        return logits.at[rows, last].add(-untold * (frequency + mx.where(is_new, presence, 0)))


def _window(row: Row, is_told: bool) -> list[int]:  # noqa: FBT001 - says whether the list ends with the input
    """The tokens before the input that the repetition penalty looks at."""
    return row.tokens[-REPETITION_WINDOW:-1] if is_told else row.tokens[1 - REPETITION_WINDOW :]


def _counts(row: Row) -> bool:
    sampling = row.request.sampling
    return sampling.presence_penalty != 0 or sampling.frequency_penalty != 0


def _table(lists: Sequence[Sequence[T]], filler: T, *, width: int = 0) -> list[list[T]]:
    """Lists of one length, at least `width`."""
    width = max(width, *(len(row) for row in lists))
    return [[*row, *[filler] * (width - len(row))] for row in lists]
