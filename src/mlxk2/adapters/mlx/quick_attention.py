"""Attention whose exponentials numpy computes for many queries, and polynomials for one; why, says docs/ADR/0018.

The products stay MLX's. For many queries numpy works in the memory of the scores, piece by piece, while MLX is at the
next piece; MLX by itself has all scores in memory at once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from mlxk2.adapters.mlx.polynomials import exp_below_zero

_PIECE = 2**21
"""Scores of one piece, about: 8 MiB."""
_CACHED = 2**17
"""Scores that are worked on at a time: they stay in a core's cache."""
_LOWEST = float(np.finfo(np.float32).min)

Numbers = NDArray[np.float32]


class _Piece(NamedTuple):
    """Some kv heads and some queries, and how many of the keys those may see."""

    groups: slice
    queries: slice
    keys: int


def attention(q: mx.array, k: mx.array, v: mx.array, scale: float, mask: Any) -> mx.array:
    """`q` is (rows, heads, queries, size), `k` and `v` are (rows, kv heads, keys, size); as MLX's own.

    `mask` is None, "causal", booleans that are true where a query sees a key, or numbers to be added to the scores.
    """
    rows, heads, queries, size = q.shape
    groups, keys = k.shape[1], k.shape[2]
    grouped = (q * scale).reshape(rows, groups, heads // groups, queries, size)
    shown = _shown(mask, groups, queries, keys)
    pieces = _pieces(rows * heads // groups, groups, queries, keys, sees_all=mask != "causal")
    products = (_scores(grouped, k, piece) for piece in pieces)
    answers: list[mx.array] = []
    for piece, scores in zip(pieces, _ahead(products), strict=True):
        numbers = view(scores)
        if shown is not None:
            _hide(numbers, _part(shown, piece))
        sums = mx.array(exponentials(numbers))
        answers.append(scores @ v[:, piece.groups, None, : piece.keys] / sums)
        del numbers, scores
        mx.async_eval(answers[-1])  # type: ignore[no-untyped-call]  # after which nothing holds the scores
    by_queries = sum(piece.groups.start == 0 for piece in pieces)
    some = [mx.concatenate(answers[i : i + by_queries], axis=3) for i in range(0, len(answers), by_queries)]
    return mx.concatenate(some, axis=1).reshape(rows, heads, queries, v.shape[-1])


def attention_of_steps(q: mx.array, k: mx.array, v: mx.array, scale: float, mask: mx.array | str | None) -> mx.array:
    """Of one query for each head, which sees all keys but those that a mask of booleans hides; lazy. Shapes as above.

    The heads that share keys are multiplied with them together.
    """
    rows, heads, _, size = q.shape
    groups = k.shape[1]
    scores = (q * scale).reshape(rows, groups, heads // groups, size) @ k.swapaxes(-1, -2)
    if isinstance(mask, mx.array):
        scores = mx.where(mask, scores, _LOWEST)
    weights = exp_below_zero(scores - mx.max(scores, axis=-1, keepdims=True))
    answers = weights @ v / mx.sum(weights, axis=-1, keepdims=True)
    return answers.reshape(rows, heads, 1, v.shape[-1])


def _pieces(rows: int, groups: int, queries: int, keys: int, *, sees_all: bool) -> list[_Piece]:
    """All queries of as many kv heads as fit into a piece, or as many queries of one; `rows` a query and kv head."""
    whole = rows * queries * keys
    at_once = max(1, _PIECE // whole)
    some = queries if whole <= _PIECE else max(1, _PIECE // (rows * keys))
    return [
        _Piece(
            slice(group, group + at_once),
            slice(first, min(first + some, queries)),
            keys if sees_all else keys - queries + min(first + some, queries),
        )
        for group in range(0, groups, at_once)
        for first in range(0, queries, some)
    ]


def _scores(grouped: mx.array, k: mx.array, piece: _Piece) -> mx.array:
    """In memory of their own."""
    some = grouped[:, piece.groups, :, piece.queries]
    return mx.contiguous(some @ k[:, piece.groups, None, : piece.keys].swapaxes(-1, -2))


def _ahead(arrays: Iterator[mx.array]) -> Iterator[mx.array]:
    """While one is worked on, the next is computed."""
    current = next(arrays)
    mx.async_eval(current)  # type: ignore[no-untyped-call]
    for following in arrays:
        mx.async_eval(following)  # type: ignore[no-untyped-call]
        yield current
        current = following
        del following
    yield current


def view(a: mx.array) -> Numbers:
    """The array's own memory: what is written there is written into the array."""
    return np.array(a, copy=False)


def exponentials(scores: Numbers) -> Numbers:
    """Of what each score is below its row's highest, in place; their sums. A row is the last axis."""
    lines = scores.reshape(-1, scores.shape[-1], copy=False)
    sums = np.empty((len(lines), 1), np.float32)
    at_once = max(1, _CACHED // lines.shape[1])
    with np.errstate(all="ignore"):  # what is infinite or no number stays so, without a word, as with MLX
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


def _part(shown: NDArray[Any], piece: _Piece) -> NDArray[Any]:
    if shown.shape[1] > 1:
        shown = shown[:, piece.groups]
    if shown.shape[3] > 1:
        shown = shown[..., piece.queries, :]
    return shown[..., : piece.keys]


def _hide(scores: Numbers, shown: NDArray[Any]) -> None:
    """Keep from queries the keys that they may not see. Where none is left, all weigh the same, as with MLX."""
    if shown.dtype == bool:
        np.copyto(scores, _LOWEST, where=~shown)
        return
    with np.errstate(all="ignore"):
        scores += shown
