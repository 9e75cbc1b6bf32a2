"""A model's matrix products, done in the way in which OpenBLAS is quickest with them (docs/engine.md).

A few rows are multiplied tile by tile, where its kernels are good at that (`tiles.py`). Where they are not, or for more
rows: it shares a product of a few rows among its threads in two pieces each, and its kernels take four rows at a time,
so that pieces of one, two or three rows take as long as four, and each goes through all the weights. With two threads
12 rows take a third longer than 16, or twice as long; so the rows are padded. Where all matrices are small, its threads
wait for one another longer than they compute; so there is one.

Other weights lie by columns, as far as that was measured and nobody looks up their rows: the kernels for AVX-512 take
small matrices as they are then, and where OpenBLAS copies, it copies faster.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import mlx.core as mx
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.utils import tree_flatten

from mlxk2.adapters.mlx.blas import OpenBlas
from mlxk2.adapters.mlx.quick_attention import view
from mlxk2.adapters.mlx.tiles import KERNELS, MOST_THREADS, Tiles

_LARGE = 2**18
"""Weights of a matrix; below, neither threads nor padding gain anything."""
_ROWS_A_THREAD = 8
_MOST_THREADS = 4
"""With more, the rows are padded to more than batches have."""
_PADS_FROM = {"Haswell": 0.25, "Zen": 0.25, "SkylakeX": 0.55, "Cooperlake": 0.55}
"""By kernels: the part of a block from which on it pays to fill it up. Nothing is padded for those not measured."""
_KNOWN = KERNELS | _PADS_FROM.keys()
"""Kernels that were measured, and those that are built alike."""

Multiply: TypeAlias = Callable[[mx.array], mx.array]


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
    """How a layer's products are computed: tile by tile, from weights by columns, with padded rows, or as ever.

    They hold for `weight`; some models give a layer other weights at every pass (gemma3n clips them), and these are
    multiplied as ever. `columns` are the weights as (inputs, outputs), and lie by rows.
    """

    weight: mx.array
    tiles: Tiles | None
    columns: mx.array | None
    padding: Padding | None

    def product(self, ordinary: Multiply, x: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
        """`ordinary` adds the bias itself; `weight` is what the layer has now."""
        if weight is not self.weight:
            return ordinary(x)
        product = None if self.tiles is None else self.tiles.product(x)
        if product is not None:
            return product if bias is None else product + bias
        multiply = ordinary if self.columns is None else partial(_by_columns, self.columns, bias)
        return multiply(x) if self.padding is None else _padded(multiply, x, self.padding)


class SuitedLinear(Linear):
    """A linear layer that knows the ways."""

    ways: Ways

    def __call__(self, x: mx.array) -> mx.array:
        """`x` is (..., inputs); the result (..., outputs)."""
        return self.ways.product(super().__call__, x, self.weight, self.get("bias"))


class SuitedEmbedding(Embedding):
    """For heads that are tied to the embedding."""

    ways: Ways

    def as_linear(self, x: mx.array) -> mx.array:
        """`x` is (..., dimensions); the result (..., vocabulary)."""
        return self.ways.product(super().as_linear, x, self.weight)


_SUITED: dict[type, type] = {Linear: SuitedLinear, Embedding: SuitedEmbedding}


def suit_openblas(model: Any, blas: OpenBlas) -> None:
    """Prepare an mlx-lm model whose weights are loaded; the number of threads holds for the whole process."""
    threads = blas.use(1 if _is_small(model) else blas.threads)
    if blas.kernels not in _KNOWN:
        return
    padding = _padding(blas.kernels, threads)
    tiled = blas.kernels in KERNELS and threads <= MOST_THREADS
    for layer in model.modules():
        if type(layer) not in _SUITED or layer.weight.dtype != mx.float32 or not layer.weight.size:
            continue
        is_large = layer.weight.size >= _LARGE
        tiles = _tiles(layer, threads) if tiled and is_large else None
        columns = None if tiles or (is_large and threads > MOST_THREADS) else _columns(layer, blas)
        if tiles or columns is not None or (padding and is_large):
            layer.ways = Ways(layer.weight, tiles, columns, padding if is_large else None)
            layer.__class__ = _SUITED[type(layer)]


def _is_small(model: Any) -> bool:
    """Holds on to no weights: the layers' own are about to be replaced, one by one."""
    weights: Any = tree_flatten(model.parameters())
    return all(weight.size < _LARGE for _, weight in weights)


def _tiles(layer: Any, threads: int) -> Tiles:
    """Of weights that lie by rows: what mlx-lm has turned while loading lies by columns, of which no tile is a view."""
    layer.weight = mx.contiguous(layer.weight)
    mx.eval(layer.weight)
    return Tiles(layer.weight, threads)


def _columns(layer: Any, blas: OpenBlas) -> mx.array | None:
    """The layer's own weights then; a copy for an embedding, whose rows are looked up; None for one that is large."""
    is_looked_up = isinstance(layer, Embedding)
    if is_looked_up and layer.weight.size >= _LARGE:
        return None
    columns = _transposed(layer.weight, blas)
    if not is_looked_up:
        layer.weight = columns.T
        mx.eval(layer.weight)
    return columns


def _transposed(weight: mx.array, blas: OpenBlas) -> mx.array:
    """As (inputs, outputs), by rows."""
    rows = view(weight)
    if not rows.flags.c_contiguous:
        return mx.contiguous(weight.T)
    columns = mx.zeros(rows.shape[::-1], mx.float32)
    mx.eval(columns)
    blas.transpose(rows, view(columns))
    return columns


def _by_columns(columns: mx.array, bias: mx.array | None, x: mx.array) -> mx.array:
    return x @ columns if bias is None else mx.addmm(bias, x, columns)


def _padding(kernels: str, threads: int) -> Padding | None:
    part = _PADS_FROM.get(kernels)
    if part is None or not 1 < threads <= _MOST_THREADS:
        return None
    block = _ROWS_A_THREAD * threads
    return Padding(block, math.ceil(part * block))


def _padded(multiply: Multiply, x: mx.array, padding: Padding) -> mx.array:
    rows = x.size // x.shape[-1]
    more = padding.rows(rows) - rows
    if not more:
        return multiply(x)
    product = multiply(mx.pad(x.reshape(rows, -1), [(0, more), (0, 0)]))
    return product[:rows].reshape(*x.shape[:-1], -1)
