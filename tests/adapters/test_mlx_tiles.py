"""Products tile by tile: the same numbers as in one piece, in any thread, and only where tiles can be had."""

from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.adapters.mlx.tiles import MOST_ROWS, Tiles, tile_width

SHAPES = [(640, 640), (320, 640), (1024, 1280), (513, 2048), (640, 2048), (256, 8192)]
"""Two of them are large enough for a second stream."""


@pytest.fixture(autouse=True)
def on_a_cpu() -> None:
    mx.set_default_device(mx.cpu)


def differs(shape: tuple[int, int], lead: tuple[int, ...], threads: int) -> float:
    """The largest difference from the product in one piece, which computes in another order."""
    weight, x = mx.random.normal(shape), mx.random.normal((*lead, shape[1]))
    product = Tiles(weight, threads).product(x)
    assert product is not None
    assert product.shape == (*lead, shape[0])
    return float(mx.abs(product - x @ weight.T).max() / shape[1] ** 0.5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("lead", [(1,), (1, 1), (2, 1), (3,), (2, 3), (8, 1), (MOST_ROWS,)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_numbers_are_the_same(shape: tuple[int, int], lead: tuple[int, ...], threads: int) -> None:
    assert differs(shape, lead, threads) < 1e-5


def test_tiles_are_cut_once_for_each_width_and_of_the_weights_themselves() -> None:
    weight = mx.random.normal((1024, 1280))
    mx.eval(weight)
    before = mx.get_active_memory()
    tiles = Tiles(weight, 2)
    for rows in (1, 8, 1, 8):
        product = tiles.product(mx.zeros((rows, 1280)))
        assert product is not None
        mx.eval(product)
    del product
    assert mx.get_active_memory() - before < weight.nbytes / 8


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((640, 640), 13), ((640, 640), 0), ((1031, 640), 1), ((640, 2**17), 1), ((7, 640), 4), ((32768, 64), 12)],
)
def test_what_has_no_tiles_is_left_to_the_ordinary_way(shape: tuple[int, int], rows: int) -> None:
    if shape == (1031, 640):  # a prime is one tile where it fits into one, and none where it does not
        assert tile_width(*shape, rows) == 1031
        rows = 2
    assert Tiles(mx.zeros(shape), 2).product(mx.zeros((rows, shape[1]))) is None


@given(st.integers(1, 300_000), st.integers(1, 20_000), st.integers(0, 40))
def test_a_tile_is_what_openblas_takes_for_small(outputs: int, inputs: int, rows: int) -> None:
    width = tile_width(outputs, inputs, rows)
    assert width == 0 or (
        outputs % width == 0 and rows * width <= 1200 and rows * width * inputs <= 10**6 and width >= 8
    )


def test_every_thread_has_a_second_stream_of_its_own() -> None:
    def compute(_: int) -> float:
        try:
            return max(differs((1024, 1280), (4, 1), 2) for _ in range(5))
        finally:
            mx.synchronize()

    for _ in range(3):  # new threads
        with ThreadPoolExecutor(3) as pool:
            assert max(pool.map(compute, range(6))) < 1e-5
