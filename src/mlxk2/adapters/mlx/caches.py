"""What is done with mlx-lm's key-value caches: one list of caches, one per layer, for a request or for a whole batch.

An update writes into the arrays that a cache holds, as seen through every reference to them. Whoever keeps a cache for
later keeps `copy_of` it: new handles on the same memory, which MLX copies only when one of them is written to.
"""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from mlxk2.ports.engine import KvCost, KvLayers

Caches = list[Any]
_WINDOWS = ("max_size", "chunk_size")
_PIECE = 2**20
"""Numbers in a piece of memory that several arrays share: beyond, one of its own tears no hole worth speaking of."""


def new_caches(model: Any) -> Caches:
    from mlx_lm.models.cache import make_prompt_cache

    return list(make_prompt_cache(model))


def can_batch(caches: Caches) -> bool:
    """Whether requests on such caches can be decoded together."""
    return all(can_batch(list(cache.caches)) if _is_list(cache) else hasattr(cache, "merge") for cache in caches)


def can_pad(caches: Caches) -> bool:
    """Whether prompts of different lengths can be processed together: many models let padding into their states."""
    return all(hasattr(cache, "keys") and hasattr(cache, "offset") for cache in _flat(caches))


def can_always_cut(caches: Caches) -> bool:
    """Whether such caches can be cut whatever they hold: no recurrent states, no windows, no chunks."""
    return can_cut(caches) and not any(hasattr(cache, name) for cache in _flat(caches) for name in _WINDOWS)


def can_cut(caches: Caches) -> bool:
    """Whether tokens can be taken off the end: not so for recurrent states and for windows that have moved on."""
    return all(cache.is_trimmable() and not getattr(cache, "start_position", 0) for cache in _flat(caches))


def merge(rows: Sequence[Caches]) -> Caches:
    """One batch of caches out of the caches of several requests, which may hold different numbers of tokens."""
    return [layer[0].merge(list(layer)) for layer in zip(*rows, strict=True)]


def join(batches: Sequence[Caches]) -> Caches:
    """One batch out of several, in their order; their own caches must not be used afterwards."""
    return [_joined(layer) for layer in zip(*batches, strict=True)]


def _joined(batches: Sequence[Any]) -> Any:
    """mlx-lm's own way copies what it has for each batch that is added, and twice; where it can be, that is spared."""
    from mlx_lm.models.cache import BatchKVCache

    if all(type(batch) is BatchKVCache and batch.keys is not None for batch in batches):
        return _joined_at_once([batch.state for batch in batches])
    first, *others = batches
    for other in others:
        first.extend(other)
    return first


def _joined_at_once(states: Sequence[tuple[Any, ...]]) -> Any:
    """Keys and values are (rows, heads, tokens, size), and all rows end at the same token."""
    import mlx.core as mx
    from mlx_lm.models.cache import BatchKVCache

    keys, values, offsets, paddings, ends = zip(*states, strict=True)
    end = max(ends)
    spans = [slice(end - own, end) for own in ends]
    joined = BatchKVCache([])
    joined.state = (
        _stacked(keys, spans),
        _stacked(values, spans),
        mx.concatenate(list(offsets)),
        mx.concatenate([padding + span.start for padding, span in zip(paddings, spans, strict=True)]),
        end,
    )
    return joined


def _stacked(parts: Sequence[Any], spans: Sequence[slice]) -> Any:
    """The beginning of each part's rows, put where its span of the tokens is."""
    import mlx.core as mx

    _, heads, _, size = parts[0].shape
    rows, tokens = sum(part.shape[0] for part in parts), max(part.shape[2] for part in parts)
    whole = mx.zeros((rows, heads, tokens, size), parts[0].dtype)
    first = 0
    for part, span in zip(parts, spans, strict=True):
        whole[first : first + part.shape[0], :, span] = part[:, :, : span.stop - span.start]
        first += part.shape[0]
    return whole


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
    """One row of a batch as the caches of a request alone, parts of the batch's memory where mlx-lm leaves them so."""
    return [cache.extract(row) for cache in caches]


def own(caches: Caches) -> Caches:
    """As they are, in memory of their own once evaluated: a slice of a batch would keep the whole of it."""
    return [_each_array(cache, _own) for cache in caches]


def copy_of(caches: Caches) -> Caches:
    return [_each_array(cache, _handle) for cache in caches]


def compact(caches: Caches) -> Caches:
    """Copies, computed, in few pieces of memory: many small ones that live long would tear holes into the rest."""
    arrays: list[Any] = []
    for cache in caches:
        _each_array(cache, arrays.append)
    copies = iter(_in_few_pieces(arrays))
    return [_each_array(cache, lambda _: next(copies)) for cache in caches]


def _in_few_pieces(arrays: Sequence[Any]) -> list[Any]:
    """What follows one another and has the same type shares a piece, unless it is large."""
    import mlx.core as mx

    pieces: list[list[Any]] = []
    for array in arrays:
        fits = pieces and pieces[-1][0].dtype == array.dtype
        if fits and sum(other.size for other in pieces[-1]) + array.size <= _PIECE:
            pieces[-1].append(array)
        else:
            pieces.append([array])
    copies: list[Any] = []
    for some in pieces:
        ends = list(accumulate(array.size for array in some))
        flat = [array.reshape(array.size) for array in some]
        parts = mx.split(mx.concatenate(flat) if len(flat) > 1 else _own(flat[0]), ends[:-1])
        copies += [part.reshape(array.shape) for part, array in zip(parts, some, strict=True)]
    mx.eval(copies)
    return copies


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


def places(caches: Caches) -> list[Any]:
    """The arrays that tell the layers how many tokens each row has: one is like the other, as far as they are here."""
    from mlx_lm.models.cache import BatchKVCache

    return [cache.offset for cache in caches if type(cache) is BatchKVCache]


def size_bytes(caches: Caches) -> int:
    return sum(int(cache.nbytes) for cache in caches)


def explain_themselves(caches: Caches) -> bool:
    """Whether `cost_of` can tell from one look what each of these caches takes."""
    from mlx_lm.models.cache import ArraysCache

    return all(_grows(cache) or isinstance(cache, ArraysCache) for cache in _flat(caches))


def cost_of(caches: Caches, tokens: int, later: Caches | None = None, later_tokens: int = 0) -> KvCost:
    """What such caches take, seen on caches of one request that hold `tokens` tokens.

    Caches that do not explain themselves are compared with how they are `later`, holding `later_tokens`.
    """
    growing: dict[int | None, int] = {}
    fixed = 0
    for cache, grown in zip(_flat(caches), _flat(later or caches), strict=True):
        if _grows(cache):
            window = getattr(cache, "max_size", None)
            size = int(cache.nbytes) // max(int(cache.keys.shape[-2]), tokens)
        else:
            window, fixed = None, fixed + int(cache.nbytes)
            size = math.ceil((grown.nbytes - cache.nbytes) / max(later_tokens - tokens, 1))
        if size:
            growing[window] = growing.get(window, 0) + size
    layers = sorted(growing.items(), key=lambda item: (item[0] is not None, item[0] or 0))
    return KvCost(tuple(KvLayers(size, window) for window, size in layers), fixed)


def _grows(cache: Any) -> bool:
    return getattr(cache, "keys", None) is not None and hasattr(cache, "offset")


def _flat(caches: Caches) -> Caches:
    return [part for cache in caches for part in (_flat(list(cache.caches)) if _is_list(cache) else [cache])]


def _is_list(cache: Any) -> bool:
    from mlx_lm.models.cache import CacheList

    return isinstance(cache, CacheList)


def _each_array(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a cache, with every array in it changed."""
    import mlx.core as mx

    if isinstance(value, mx.array):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_each_array(item, change) for item in value)
    if type(value).__module__.startswith("mlx_lm.") and hasattr(value, "__dict__"):
        other = copy.copy(value)
        vars(other).update({name: _each_array(item, change) for name, item in vars(value).items()})
        return other
    return value


def _handle(array: Any) -> Any:
    """The same memory under another handle: the cheapest operation that changes nothing."""
    import mlx.core as mx

    return mx.stop_gradient(array)


def _own(array: Any) -> Any:
    import mlx.core as mx

    return array + mx.zeros((), array.dtype)
