"""A model's matrix products, done in the way in which OpenBLAS is quickest with them (docs/engine.md).

It shares a product of a few rows among its threads in two pieces each, and its kernels take four rows at a time: pieces
of one, two or three rows take as long as four, and each goes through all the weights. With two threads 12 rows take
almost twice as long as 16; so the rows are padded. Where all matrices are small, its threads wait for one another
longer than they compute; so there is one.
"""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.utils import tree_flatten

from mlxk2.adapters.mlx.blas import OpenBlas

_LARGE = 2**18
"""Weights of a matrix; below, neither threads nor padding gain anything."""
_ROWS_A_THREAD = 8
_MOST_THREADS = 4
"""With more, the rows are padded to more than batches have."""


class PaddedLinear(Linear):
    """`block` is the number that the rows are made a multiple of."""

    block: int

    def __call__(self, x: mx.array) -> mx.array:
        """`x` is (..., inputs); the result (..., outputs)."""
        return _padded(super().__call__, x, self.block)


class PaddedEmbedding(Embedding):
    """For heads that are tied to the embedding; `block` as above."""

    block: int

    def as_linear(self, x: mx.array) -> mx.array:
        """`x` is (..., dimensions); the result (..., vocabulary)."""
        return _padded(super().as_linear, x, self.block)


_PADDED: dict[type, type] = {Linear: PaddedLinear, Embedding: PaddedEmbedding}


def suit_openblas(model: Any, blas: OpenBlas) -> None:
    """Prepare an mlx-lm model whose weights are loaded; the number of threads holds for the whole process."""
    weights: Any = tree_flatten(model.parameters())
    is_small = all(weight.size < _LARGE for _, weight in weights)
    threads = blas.use(1 if is_small else blas.threads)
    if not 1 < threads <= _MOST_THREADS:
        return
    for layer in model.modules():
        if type(layer) in _PADDED and layer.weight.dtype == mx.float32 and layer.weight.size >= _LARGE:
            layer.__class__ = _PADDED[type(layer)]
            layer.block = _ROWS_A_THREAD * threads


def padded_rows(rows: int, block: int) -> int:
    """A multiple of the block, where that is quicker; else as many as there are."""
    over = rows % block
    return rows - over + block if over >= block // 4 and rows < 3 * block else rows


def _padded(multiply: Callable[[mx.array], mx.array], x: mx.array, block: int) -> mx.array:
    rows = x.size // x.shape[-1]
    more = padded_rows(rows, block) - rows
    if not more:
        return multiply(x)
    product = multiply(mx.pad(x.reshape(rows, -1), [(0, more), (0, 0)]))
    return product[:rows].reshape(*x.shape[:-1], -1)
