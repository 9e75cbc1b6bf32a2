"""A model's matrix products, done in the way in which OpenBLAS is quickest with them (docs/engine.md).

A few rows are multiplied tile by tile, where its kernels are good at that (`tiles.py`). Where they are not, or for more
rows: it shares a product of a few rows among its threads in two pieces each, and its kernels take four rows at a time,
so that pieces of one, two or three rows take as long as four, and each goes through all the weights. With two threads
12 rows take a third longer than 16, or twice as long; so the rows are padded. Where all matrices are small, its threads
wait for one another longer than they compute; so there is one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.utils import tree_flatten

from mlxk2.adapters.mlx.blas import OpenBlas
from mlxk2.adapters.mlx.tiles import KERNELS, MOST_THREADS, Tiles

_LARGE = 2**18
"""Weights of a matrix; below, neither threads nor padding gain anything."""
_ROWS_A_THREAD = 8
_MOST_THREADS = 4
"""With more, the rows are padded to more than batches have."""
_PADS_FROM = {"Haswell": 0.25, "Zen": 0.25, "SkylakeX": 0.55, "Cooperlake": 0.55}
"""By kernels: the part of a block from which on it pays to fill it up. Nothing is padded for those not measured."""


@dataclass(frozen=True, slots=True)
class Padding:
    """Rows become a multiple of `block` where at least `least` are over."""

    block: int
    least: int

    def rows(self, rows: int) -> int:
        """How many there are with those that are added."""
        over = rows % self.block
        return rows - over + self.block if over >= self.least and rows < 3 * self.block else rows


@dataclass(frozen=True, slots=True)
class Ways:
    """How a layer's products are computed: tile by tile, with padded rows, or as ever."""

    tiles: Tiles | None
    padding: Padding | None

    def product(self, multiply: Callable[[mx.array], mx.array], x: mx.array, bias: mx.array | None = None) -> mx.array:
        """`multiply` is the ordinary way, which adds the bias itself."""
        product = None if self.tiles is None else self.tiles.product(x)
        if product is not None:
            return product if bias is None else product + bias
        return multiply(x) if self.padding is None else _padded(multiply, x, self.padding)


class SuitedLinear(Linear):
    """A linear layer that knows the ways."""

    ways: Ways

    def __call__(self, x: mx.array) -> mx.array:
        """`x` is (..., inputs); the result (..., outputs)."""
        return self.ways.product(super().__call__, x, self.get("bias"))


class SuitedEmbedding(Embedding):
    """For heads that are tied to the embedding."""

    ways: Ways

    def as_linear(self, x: mx.array) -> mx.array:
        """`x` is (..., dimensions); the result (..., vocabulary)."""
        return self.ways.product(super().as_linear, x)


_SUITED: dict[type, type] = {Linear: SuitedLinear, Embedding: SuitedEmbedding}


def suit_openblas(model: Any, blas: OpenBlas) -> None:
    """Prepare an mlx-lm model whose weights are loaded; the number of threads holds for the whole process."""
    weights: Any = tree_flatten(model.parameters())
    is_small = all(weight.size < _LARGE for _, weight in weights)
    threads = blas.use(1 if is_small else blas.threads)
    padding = _padding(blas.kernels, threads)
    tiled = blas.kernels in KERNELS and threads <= MOST_THREADS
    if padding is None and not tiled:
        return
    for layer in model.modules():
        if type(layer) in _SUITED and layer.weight.dtype == mx.float32 and layer.weight.size >= _LARGE:
            layer.ways = Ways(_tiles(layer, threads) if tiled else None, padding)
            layer.__class__ = _SUITED[type(layer)]


def _tiles(layer: Any, threads: int) -> Tiles:
    """Of weights that lie by rows: what mlx-lm has turned while loading lies by columns, of which no tile is a view."""
    layer.weight = mx.contiguous(layer.weight)
    mx.eval(layer.weight)
    return Tiles(layer.weight, threads)


def _padding(kernels: str, threads: int) -> Padding | None:
    part = _PADS_FROM.get(kernels)
    if part is None or not 1 < threads <= _MOST_THREADS:
        return None
    block = _ROWS_A_THREAD * threads
    return Padding(block, math.ceil(part * block))


def _padded(multiply: Callable[[mx.array], mx.array], x: mx.array, padding: Padding) -> mx.array:
    rows = x.size // x.shape[-1]
    more = padding.rows(rows) - rows
    if not more:
        return multiply(x)
    product = multiply(mx.pad(x.reshape(rows, -1), [(0, more), (0, 0)]))
    return product[:rows].reshape(*x.shape[:-1], -1)
