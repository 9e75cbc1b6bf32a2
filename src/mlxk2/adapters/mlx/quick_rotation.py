"""The rotation of queries and keys by their places, whose sines one pass computes once; why, says docs/ADR/0018.

MLX's own has them computed anew for the queries and the keys of every layer. These are the same figures, to the bit.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import mlx.core as mx

Waves = tuple[mx.array, mx.array]
"""Cosines and signed sines, (rows or 1, 1, length, pairs)."""


class Turning(NamedTuple):
    """How places become angles.

    `traditional`: neighbours turn together, else a number and the one that stands half the size behind it.
    """

    size: int
    traditional: bool
    base: float
    scale: float


def rotate(x: mx.array, turning: Turning, waves: Waves) -> mx.array:
    """`x` is (rows, heads, length, size); as MLX's own."""
    cosines, sines = waves
    half = turning.size // 2
    pairs = x.reshape(*x.shape[:-1], *((half, 2) if turning.traditional else (2, half)))
    partners = pairs[..., ::-1] if turning.traditional else pairs[..., ::-1, :]
    return (pairs * cosines + partners * sines).reshape(x.shape)


@lru_cache(maxsize=2)
def waves_at(turning: Turning, firsts: tuple[int, ...], length: int) -> Waves:
    """`firsts` are the rows' first places, or one for all rows. Kept for two bases."""
    return waves_from(turning, mx.array(firsts), length)


def waves_from(turning: Turning, firsts: Any, length: int) -> Waves:
    """In the order of the pairs."""
    half = turning.size // 2
    places = mx.arange(length).astype(mx.float32) + firsts[:, None, None]
    angles = (places * turning.scale)[..., None] * _frequencies(turning, half)
    cosines, sines = mx.cos(angles), mx.sin(angles)
    axis = -1 if turning.traditional else -2
    return mx.stack([cosines, cosines], axis), mx.stack([-sines, sines], axis)


@lru_cache(maxsize=4)
def _frequencies(turning: Turning, half: int) -> mx.array:
    step = mx.array(math.log(turning.base) / half, mx.float32)
    frequencies = mx.exp(mx.arange(0, -half, -1).astype(mx.float32) * step)
    mx.eval(frequencies)
    return frequencies
