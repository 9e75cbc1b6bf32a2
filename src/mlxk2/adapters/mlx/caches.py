"""What is done with mlx-lm's key-value caches: one list of caches, one per layer, for a request or for a whole batch.

An update writes into the arrays that a cache holds, as seen through every reference to them. Whoever keeps a cache for
later keeps `copy_of` it: new handles on the same memory, which MLX copies only when one of them is written to.
"""

import copy
from collections.abc import Sequence
from typing import Any

from mlxk2.ports.engine import KvCost, KvLayers

Caches = list[Any]


def new_caches(model: Any) -> Caches:
    from mlx_lm.models.cache import make_prompt_cache

    return list(make_prompt_cache(model))


def can_batch(caches: Caches) -> bool:
    """Whether requests on such caches can be decoded together."""
    return all(can_batch(list(cache.caches)) if _is_list(cache) else hasattr(cache, "merge") for cache in caches)


def can_cut(caches: Caches) -> bool:
    """Whether tokens can be taken off the end: not so for recurrent states and for windows that have moved on."""
    return all(cache.is_trimmable() for cache in caches)


def merge(rows: Sequence[Caches]) -> Caches:
    """One batch of caches out of the caches of several requests, which may hold different numbers of tokens."""
    return [layer[0].merge(list(layer)) for layer in zip(*rows, strict=True)]


def extend(caches: Caches, newcomers: Caches) -> None:
    """Append the rows of one batch to another."""
    for cache, newcomer in zip(caches, newcomers, strict=True):
        cache.extend(newcomer)


def keep(caches: Caches, rows: Sequence[int]) -> None:
    """Drop all other rows of a batch."""
    for cache in caches:
        cache.filter(list(rows))


def prepare(caches: Caches, lengths: Sequence[int], padding: Sequence[int]) -> None:
    """Announce inputs that are padded on the right; `finalize` must follow once they are processed."""
    for cache in caches:
        cache.prepare(lengths=list(lengths), right_padding=list(padding))


def finalize(caches: Caches) -> None:
    for cache in caches:
        cache.finalize()


def extract(caches: Caches, row: int) -> Caches:
    """One row of a batch as the caches of a request alone."""
    return [cache.extract(row) for cache in caches]


def copy_of(caches: Caches) -> Caches:
    return [_copy_of(cache) for cache in caches]


def cut(caches: Caches, length: int, target: int) -> None:
    """Take off tokens at the end until `target` of `length` are left; `can_cut` must hold."""
    from mlx_lm.models.cache import KVCache

    for cache in caches:
        cache.trim(length - target)
        if type(cache) is KVCache and cache.keys is not None:
            # What is cut off would be copied along at the next write.
            cache.keys, cache.values = cache.keys[..., :target, :], cache.values[..., :target, :]


def evaluate(caches: Caches) -> None:
    """Compute what the caches hold, so that they no longer refer to what it is computed from."""
    import mlx.core as mx

    mx.eval([cache.state for cache in caches])


def size_bytes(caches: Caches) -> int:
    return sum(int(cache.nbytes) for cache in caches)


def cost_of(caches: Caches, tokens: int) -> KvCost:
    """What such caches take, seen on caches of one request that holds `tokens` tokens."""
    growing: dict[int | None, int] = {}
    fixed = 0
    for cache in _flat(caches):
        keys = getattr(cache, "keys", None)
        if keys is None or not hasattr(cache, "offset"):
            fixed += int(cache.nbytes)
            continue
        window = getattr(cache, "max_size", None)
        growing[window] = growing.get(window, 0) + int(cache.nbytes) // max(int(keys.shape[-2]), tokens)
    layers = sorted(growing.items(), key=lambda item: (item[0] is not None, item[0] or 0))
    return KvCost(tuple(KvLayers(size, window) for window, size in layers), fixed)


def _flat(caches: Caches) -> Caches:
    return [part for cache in caches for part in (_flat(list(cache.caches)) if _is_list(cache) else [cache])]


def _is_list(cache: Any) -> bool:
    from mlx_lm.models.cache import CacheList

    return isinstance(cache, CacheList)


def _copy_of(value: Any) -> Any:
    import mlx.core as mx
    from mlx_lm.models.cache import _BaseCache

    if isinstance(value, mx.array):
        return mx.stop_gradient(value)  # another handle: the cheapest operation that changes nothing
    if isinstance(value, (list, tuple)):
        return type(value)(_copy_of(item) for item in value)
    if isinstance(value, _BaseCache):
        other = copy.copy(value)
        vars(other).update({name: _copy_of(item) for name, item in vars(value).items()})
        return other
    return value
