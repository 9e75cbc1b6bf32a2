"""The rotation of queries and keys by their places, whose sines one pass computes once; why, says docs/ADR/0018.

MLX's own has them computed anew for the queries and the keys of every layer. These are the same figures, to the bit.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import mlx.core as mx


class Turning(NamedTuple):
    """By how much is turned: `offsets` are the first places of the rows, or one for all of them.

    `traditional`: neighbours turn together, else a number and the one that stands half the size behind it.
    """

    size: int
    traditional: bool
    base: float
    scale: float
    offsets: tuple[int, ...]
    length: int


def rotate(x: mx.array, turning: Turning) -> mx.array:
    """`x` is (rows, heads, length, size); as MLX's own."""
    cosines, sines = _waves(turning)
    half = turning.size // 2
    pairs = x.reshape(*x.shape[:-1], *((half, 2) if turning.traditional else (2, half)))
    partners = pairs[..., ::-1] if turning.traditional else pairs[..., ::-1, :]
    return (pairs * cosines + partners * sines).reshape(x.shape)


@lru_cache(maxsize=2)
def _waves(turning: Turning) -> tuple[mx.array, mx.array]:
    """Cosines and signed sines, (rows or 1, 1, length, pairs), in the order of `x`'s pairs. Kept for two bases."""
    half = turning.size // 2
    step = mx.array(math.log(turning.base) / half, mx.float32)
    frequencies = mx.exp(mx.arange(0, -half, -1).astype(mx.float32) * step)
    places = mx.arange(turning.length).astype(mx.float32) + mx.array(turning.offsets)[:, None, None]
    angles = (places * turning.scale)[..., None] * frequencies
    cosines, sines = mx.cos(angles), mx.sin(angles)
    axis = -1 if turning.traditional else -2
    waves = mx.stack([cosines, cosines], axis), mx.stack([-sines, sines], axis)
    mx.eval(waves)
    return waves
