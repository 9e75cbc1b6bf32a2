"""Batches of caches that become one: as mlx-lm's own way has it, without its copies."""

import copy
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.models.cache import ArraysCache, BatchKVCache, BatchRotatingKVCache, CacheList, KVCache

from mlxk2.adapters.mlx import caches as kv


def batch(rows: int, tokens: int, kind: Any = BatchKVCache) -> Any:
    """Its rows are padded on the left, each by one token more than the one before."""
    cache = kind(list(range(rows))) if kind is BatchKVCache else kind(16, list(range(rows)))
    for count in (tokens - 1, 1):
        cache.update_and_fetch(mx.random.normal((rows, 2, count, 8)), mx.random.normal((rows, 2, count, 4)))
    return cache


def extended(batches: list[Any]) -> Any:
    first, *others = copy.deepcopy(batches)
    for other in others:
        first.extend(other)
    return first


@pytest.mark.parametrize("kind", [BatchKVCache, BatchRotatingKVCache])
@pytest.mark.parametrize(
    "sizes",
    [[(1, 5), (1, 9)], [(3, 20), (2, 7), (4, 31)], [(2, 300), (1, 8)], [(1, 8), (2, 300)], [(2, 255), (2, 257)]],
)
def test_several_batches_are_what_one_after_the_other_makes_of_them(kind: Any, sizes: list[tuple[int, int]]) -> None:
    if kind is BatchRotatingKVCache:
        sizes = [(rows, min(tokens, 12)) for rows, tokens in sizes]
    batches = [batch(rows, tokens, kind) for rows, tokens in sizes]
    expected = extended(batches)
    (joined,) = kv.join([[one] for one in batches])
    assert type(joined) is kind
    assert joined.offset.tolist() == expected.offset.tolist()
    assert joined.left_padding.tolist() == expected.left_padding.tolist()
    assert joined._idx == expected._idx
    for row in range(sum(rows for rows, _ in sizes)):
        own, theirs = joined.extract(row), expected.extract(row)
        assert mx.array_equal(own.keys, theirs.keys)
        assert mx.array_equal(own.values, theirs.values)
    more = mx.random.normal((expected.offset.shape[0], 2, 1, 8)), mx.random.normal((expected.offset.shape[0], 2, 1, 4))
    for own, theirs in zip(joined.update_and_fetch(*more), expected.update_and_fetch(*more), strict=True):
        assert own.shape == theirs.shape
        assert mx.array_equal(own[:, :, -1], theirs[:, :, -1])


def test_batches_that_hold_nothing_yet_become_one() -> None:
    (joined,) = kv.join([[BatchKVCache([0, 1])], [BatchKVCache([2])]])
    assert joined.keys is None
    assert joined.left_padding.tolist() == [0, 1, 2]


def test_small_arrays_share_pieces_and_large_ones_do_not() -> None:
    """A piece has fewer numbers than MLX can count, however long the prompt."""
    layers = [KVCache() for _ in range(6)]
    for number, layer in enumerate(layers):
        layer.keys = mx.full((1, 1, 2**19 if number < 4 else 2**21, 1), number).astype(mx.float16)
        layer.values = layer.keys + 0.5
        layer.offset = 1
    kept = kv.compact(layers)
    assert [one.keys.shape for one in kept] == [one.keys.shape for one in layers]
    assert all(mx.array_equal(one.keys, other.keys) for one, other in zip(kept, layers, strict=True))
    assert all(mx.array_equal(one.values, other.values) for one, other in zip(kept, layers, strict=True))


def test_what_is_kept_is_a_copy_and_holds_on_to_nothing_else() -> None:
    whole = mx.random.normal((8, 2, 1000, 16))
    recurrent, attention = ArraysCache(2), KVCache()
    recurrent.cache = [whole[:1], mx.arange(1000).reshape(8, 125)[2:3]]
    attention.keys, attention.values, attention.offset = (
        whole[1:2, :, :300],
        whole[2:3, :, :300].astype(mx.float16),
        300,
    )
    expected = [mx.array(array) for array in (*recurrent.cache, attention.keys, attention.values)]
    mx.eval(whole, expected)
    before = mx.get_active_memory()
    kept = kv.compact([CacheList(recurrent, attention)])
    found = [*kept[0].caches[0].cache, kept[0].caches[1].keys, kept[0].caches[1].values]
    assert all(
        mx.array_equal(one, other) and one.dtype == other.dtype for one, other in zip(found, expected, strict=True)
    )
    assert kept[0].caches[1].offset == 300
    whole[:] = 0
    mx.eval(whole)
    assert all(mx.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    del whole, recurrent, attention
    assert mx.get_active_memory() - before < -8 * 2 * 1000 * 16 * 4 + 2 * sum(array.nbytes for array in expected)
