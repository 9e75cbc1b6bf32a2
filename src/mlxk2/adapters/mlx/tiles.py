"""Products of a few rows with a large matrix, tile by tile (docs/engine.md).

OpenBLAS copies a matrix into an order of its own before every product, which takes longer than the product itself when
there are few rows. Small products its kernels for AVX-512 compute from the weights as they lie there. MLX hands it a
batch of products one by one: so a matrix is taken as a batch of tiles. Each tile is one thread's work; of a large
matrix one half is computed in another stream of MLX at the same time.
"""

import threading
from functools import lru_cache

import mlx.core as mx

KERNELS = frozenset({"SkylakeX", "Cooperlake", "SapphireRapids"})
"""OpenBLAS's names for those of its kernels that know small products of this kind."""
MOST_ROWS = 12
"""From about 16 on the copy is worth its time."""
MOST_THREADS = 2
"""With more it has not been measured."""
_MOST_RESULTS, _MOST_PRODUCTS = 1200, 10**6
"""What OpenBLAS takes for small: numbers in the result, and multiplications."""
_LEAST_OUTPUTS, _LEAST_WEIGHTS = 8, 2**13
"""Of a tile; smaller ones are not worth the calls."""
_SHARED = 2**20
"""Weights from which on a second stream gains more than waiting for it costs."""

_own = threading.local()


class Tiles:
    """One layer's weights of shape (outputs, inputs), which lie by rows; `threads` may compute at the same time."""

    def __init__(self, weight: mx.array, threads: int) -> None:
        self._weight = weight
        self._shares = 2 if threads > 1 and weight.size >= _SHARED else 1
        self._cut: dict[int, list[mx.array]] = {}

    def product(self, x: mx.array) -> mx.array | None:
        """`x` is (..., inputs), the result (..., outputs); None where the ordinary product is as quick."""
        outputs, inputs = self._weight.shape
        rows = x.size // inputs
        width = tile_width(outputs, inputs, rows)
        if not width:
            return None
        here, *beside = self._tiles(width)
        given = x.reshape(1, rows, inputs)
        product = mx.matmul(given, here)
        if beside:
            product = mx.concatenate([product, mx.matmul(given, *beside, stream=_second_stream())])
        return product.swapaxes(0, 1).reshape(*x.shape[:-1], outputs)

    def _tiles(self, width: int) -> list[mx.array]:
        """For each share, in order, (tiles, inputs, width): views, made once."""
        if width not in self._cut:
            outputs, inputs = self._weight.shape
            tiles = self._weight.reshape(outputs // width, width, inputs).swapaxes(1, 2)
            middle = len(tiles) // 2 if self._shares > 1 else 0
            self._cut[width] = [tiles[:middle], tiles[middle:]] if middle else [tiles]
            mx.eval(self._cut[width])
        return self._cut[width]


@lru_cache(maxsize=4096)
def tile_width(outputs: int, inputs: int, rows: int) -> int:
    """The most outputs of a tile that all tiles have; 0 when it is better to do without."""
    if not 0 < rows <= MOST_ROWS:
        return 0
    most = min(outputs, _MOST_RESULTS // rows, _MOST_PRODUCTS // (rows * inputs))
    least = max(_LEAST_OUTPUTS, _LEAST_WEIGHTS // inputs)
    return next((width for width in range(most, least - 1, -1) if outputs % width == 0), 0)


def _second_stream() -> mx.Stream:
    """This thread's; MLX has it end with the thread's others."""
    if not hasattr(_own, "stream"):
        _own.stream = mx.new_stream(mx.default_device())
    stream: mx.Stream = _own.stream
    return stream
