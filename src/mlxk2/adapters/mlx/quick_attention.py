"""Attention of many queries whose exponentials numpy computes; why, says docs/ADR/0018.

The products stay MLX's. numpy works in the memory of the scores, piece by piece, while MLX is at the next piece; MLX by
itself has all scores in memory at once.
"""

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

_PIECE = 2**21
"""Scores in memory at a time, about: two pieces of 8 MiB, one of them under way."""
_CACHED = 2**17
"""Scores that are worked on at a time: they stay in a core's cache."""
_LOWEST = np.finfo(np.float32).min

Numbers = NDArray[np.float32]


def attention(q: mx.array, k: mx.array, v: mx.array, scale: float, mask: Any) -> mx.array:
    """`q` is (rows, heads, queries, size), `k` and `v` are (rows, kv heads, keys, size); as MLX's own.

    `mask` is None, "causal", booleans that are true where a query sees a key, or numbers to be added to the scores.
    """
    rows, heads, queries, size = q.shape
    groups, keys = k.shape[1], k.shape[2]
    grouped = (q * scale).reshape(rows, groups, heads // groups, queries, size)
    shown = _shown(mask, groups, queries, keys)
    at_once = max(1, _PIECE // (rows * (heads // groups) * queries * keys))
    cuts = [slice(first, first + at_once) for first in range(0, groups, at_once)]
    products = (mx.contiguous(grouped[:, cut] @ k[:, cut, None].swapaxes(-1, -2)) for cut in cuts)
    answers = []
    for cut, scores in zip(cuts, _ahead(products), strict=True):
        numbers = view(scores)
        if shown is not None:
            _hide(numbers, shown if shown.shape[1] == 1 else shown[:, cut])
        sums = exponentials(numbers)
        answers.append(scores @ v[:, cut, None] / mx.array(sums))
    return mx.concatenate(answers, axis=1).reshape(rows, heads, queries, v.shape[-1])


def _ahead(arrays: Iterator[mx.array]) -> Iterator[mx.array]:
    """While one is worked on, the next is computed."""
    current = next(arrays)
    mx.async_eval(current)  # type: ignore[no-untyped-call]
    for following in arrays:
        mx.async_eval(following)  # type: ignore[no-untyped-call]
        yield current
        current = following
    yield current


def view(a: mx.array) -> Numbers:
    """The array's own memory: what is written there is written into the array."""
    return np.array(a, copy=False)


def exponentials(scores: Numbers) -> Numbers:
    """Of what each score is below its row's highest, in place; their sums. A row is the last axis."""
    lines = scores.reshape(-1, scores.shape[-1], copy=False)
    sums = np.empty((len(lines), 1), np.float32)
    at_once = max(1, _CACHED // lines.shape[1])
    for first in range(0, len(lines), at_once):
        some = lines[first : first + at_once]
        some -= some.max(axis=1, keepdims=True)
        np.exp(some, out=some)
        some.sum(axis=1, keepdims=True, out=sums[first : first + at_once])
    return sums.reshape(*scores.shape[:-1], 1)


def _shown(mask: Any, groups: int, queries: int, keys: int) -> NDArray[Any] | None:
    """The mask over (rows, kv heads, heads of each, queries, keys), with ones where it is the same for all."""
    if mask is None:
        return None
    if isinstance(mask, str):
        return np.tri(queries, keys, keys - queries, dtype=bool)[None, None, None]
    shown: NDArray[Any] = np.array(mask if mask.dtype == mx.bool_ else mask.astype(mx.float32), copy=False)
    shown = shown.reshape((1,) * (4 - shown.ndim) + shown.shape)
    rows, heads, *rest = shown.shape
    return shown[:, :, None] if heads == 1 else shown.reshape(rows, groups, heads // groups, *rest)


def _hide(scores: Numbers, shown: NDArray[Any]) -> None:
    """Keep from queries the keys that they may not see. Where none is left, all weigh the same, as with MLX."""
    if shown.dtype == bool:
        np.copyto(scores, _LOWEST, where=~shown)
    else:
        scores += shown
