"""What a loaded model is like, found by letting it compute one token; and memory, as MLX counts it."""

import gc
from typing import Any

from mlxk2.adapters.mlx.caches import can_batch, cost_of, evaluate, explain_themselves, new_caches
from mlxk2.adapters.mlx.loading import LoadedModel
from mlxk2.adapters.mlx.markers import markers_of
from mlxk2.adapters.mlx.rendering import has_effort_levels, has_thinking_switch
from mlxk2.ports.engine import EngineInfo, LoadOptions
from mlxk2.ports.system import Machine

_CACHE_SHARE = 8
"""MLX keeps freed memory for reuse, up to this part of its limit."""
_LATER = 257
"""Tokens after which a cache of an unknown kind is looked at again."""


def describe(loaded: LoadedModel, options: LoadOptions) -> EngineInfo:
    """Also makes the model ready: its first computation is the slowest."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    parameters: Any = tree_flatten(loaded.model.parameters())
    caches = new_caches(loaded.model)
    logits = loaded.model(mx.array([[0]]), cache=caches)
    mx.eval(logits)
    evaluate(caches)
    later = None
    if not explain_themselves(caches):
        later = new_caches(loaded.model)
        loaded.model(mx.zeros((1, _LATER), dtype=mx.int32), cache=later)
        evaluate(later)
    return EngineInfo(
        has_chat_template=bool(loaded.tokenizer.has_chat_template),
        has_thinking_switch=has_thinking_switch(loaded.tokenizer),
        has_effort_levels=has_effort_levels(loaded.tokenizer),
        vocab_size=int(logits.shape[-1]),
        context_length=options.context_length,
        markers=markers_of(loaded.tokenizer),
        kv=cost_of(caches, 1, later, _LATER),
        weights_bytes=sum(int(array.nbytes) for _, array in parameters),
        max_rows=options.max_rows if can_batch(caches) else 1,
    )


def limit_memory(limit: int | None) -> None:
    """What this process may take for MLX's arrays, in bytes; None leaves MLX's own default."""
    import mlx.core as mx

    if limit is not None:
        mx.set_memory_limit(limit)
        mx.set_cache_limit(limit // _CACHE_SHARE)


def release_buffers(machine: Machine) -> None:
    """Give back what MLX, and behind it the C library, keep of freed memory."""
    import mlx.core as mx

    mx.clear_cache()
    machine.release_memory()


def release_all(machine: Machine) -> None:
    """Free what nothing refers to any more but itself, such as a model that was dropped, and give its memory back."""
    gc.collect()
    release_buffers(machine)


def active_bytes() -> int:
    import mlx.core as mx

    return int(mx.get_active_memory())


def peak_bytes() -> int:
    import mlx.core as mx

    return int(mx.get_peak_memory())
