"""Prompts of several lengths are moved to the end of their rows without a look-up for every number (docs/ADR/0018)."""

from collections.abc import Callable
from functools import wraps

import mlx.core as mx


def roll_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    """mlx-lm's `dynamic_roll`, for the shape that caches have: (rows, heads, tokens, size) along the tokens.

    `shifts` are (rows, 1): by so many places each row's tokens move, and what falls off the end begins the row.
    """

    @wraps(own)
    def function(x: mx.array, shifts: mx.array, axis: int) -> mx.array:
        if x.ndim != 4 or axis != 2 or shifts.shape != (x.shape[0], 1):
            return own(x, shifts, axis)
        rows, heads, length, size = x.shape
        places = (mx.arange(length) - shifts) % length
        firsts = mx.arange(rows * heads).reshape(rows, heads, 1) * length
        vectors = x.reshape(rows * heads * length, size)
        return mx.take(vectors, (firsts + places[:, None]).reshape(-1), axis=0).reshape(x.shape)

    return function
