"""What a model's keys and values will cost, read from its config before it is loaded.

It is an estimate from below, for a first look: once loaded, the engine says what they cost. Nothing is estimated for
configs that describe caches of another kind (compressed, shared between layers, recurrent).
"""

from typing import TypeGuard

from mlxk2.domain.metadata import integer, levels, read_metadata
from mlxk2.domain.snapshot import JsonObject
from mlxk2.ports.engine import KvCost, KvLayers

_OTHER_CACHES = (
    "kv_lora_rank",
    "num_kv_shared_layers",
    "hybrid_override_pattern",
    "layers_block_type",
    "full_attention_interval",
    "full_attn_idxs",
    "attn_layer_period",
    "attn_layer_indices",
    "linear_attn_config",
    "block_types",
    "block_configs",
    "ssm_cfg",
    "state_size",
    "mamba_d_state",
)
_WIDTHS = {"float32": 4}
_USUAL_WIDTH = 2


def expected_cost(config: JsonObject) -> KvCost | None:
    """None where the config does not say enough."""
    metadata = read_metadata(config)
    if metadata is None or any(level.get(key) for level in levels(config) for key in _OTHER_CACHES):
        return None
    heads, layers = metadata.num_key_value_heads, metadata.num_hidden_layers
    head_size = integer(config, "head_dim") or _quotient(metadata.hidden_size, metadata.num_attention_heads)
    if not _positive(heads) or not _positive(layers) or not _positive(head_size):
        return None
    each = 2 * heads * head_size * _WIDTHS.get(metadata.torch_dtype or "", _USUAL_WIDTH)
    full, sliding = _kinds(config, layers)
    window = integer(config, "sliding_window")
    return KvCost((KvLayers(full * each), *([KvLayers(sliding * each, window)] if _positive(window) else [])))


def _positive(number: int | None) -> TypeGuard[int]:
    return number is not None and number > 0


def _kinds(config: JsonObject, layers: int) -> tuple[int, int]:
    """How many layers look at everything, and how many through a sliding window."""
    for level in levels(config):
        kinds = level.get("layer_types")
        if isinstance(kinds, list):
            return kinds.count("full_attention"), kinds.count("sliding_attention")
    pattern = integer(config, "sliding_window_pattern")
    full = layers // pattern if _positive(pattern) else layers
    return full, layers - full


def _quotient(whole: int | None, parts: int | None) -> int | None:
    return whole // parts if whole and _positive(parts) else None
