"""Numbers of a model that people ask for, read from its config.

Multimodal configs keep the language model's numbers in `text_config`; both levels are looked at, the top one first.
"""

from dataclasses import dataclass

from mlxk2.domain.snapshot import JsonObject

_CONTEXT_KEYS = (
    "max_position_embeddings",
    "max_sequence_length",
    "max_seq_len",
    "model_max_length",
    "n_positions",
    "n_ctx",
    "seq_length",
)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Sizes are counts (tokens, units, heads); None where the config does not say."""

    model_type: str | None
    architectures: tuple[str, ...]
    quantization: str | None
    quantization_group_size: int | None
    context_length: int | None
    vocab_size: int | None
    hidden_size: int | None
    intermediate_size: int | None
    num_attention_heads: int | None
    num_key_value_heads: int | None
    num_hidden_layers: int | None
    torch_dtype: str | None


def read_metadata(config: JsonObject) -> ModelMetadata | None:
    """None for an empty config."""
    if not config:
        return None
    quantization = _quantization(config)
    architectures = config.get("architectures")
    return ModelMetadata(
        model_type=_text(config, "model_type"),
        architectures=tuple(item for item in architectures if isinstance(item, str))
        if isinstance(architectures, list)
        else (),
        quantization=_quantization_word(quantization),
        quantization_group_size=integer(quantization, "group_size"),
        context_length=context_length(config),
        vocab_size=integer(config, "vocab_size"),
        hidden_size=integer(config, "hidden_size", "n_embd", "d_model"),
        intermediate_size=integer(config, "intermediate_size"),
        num_attention_heads=integer(config, "num_attention_heads", "n_head"),
        num_key_value_heads=integer(config, "num_key_value_heads"),
        num_hidden_layers=integer(config, "num_hidden_layers", "n_layer"),
        torch_dtype=_text(config, "torch_dtype", "dtype"),
    )


def context_length(config: JsonObject) -> int | None:
    """The most tokens that prompt and answer may have together."""
    return integer(config, *_CONTEXT_KEYS)


def _quantization(config: JsonObject) -> JsonObject:
    """MLX's own `quantization`, else transformers' `quantization_config`."""
    for level in levels(config):
        for key in ("quantization", "quantization_config"):
            value = level.get(key)
            if isinstance(value, dict):
                return value
    return {}


def _quantization_word(quantization: JsonObject) -> str | None:
    """Such as `4bit`, or the method's name where no number of bits is given."""
    bits = integer(quantization, "bits")
    return f"{bits}bit" if bits else _text(quantization, "quant_method", "mode")


def levels(config: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The config itself, and what it says of the language model alone."""
    nested = config.get("text_config")
    return config, nested if isinstance(nested, dict) else {}


def integer(config: JsonObject, *keys: str) -> int | None:
    """The first of `keys` that has a whole number, on either level."""
    for level in levels(config):
        for key in keys:
            value = level.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _text(config: JsonObject, *keys: str) -> str | None:
    for level in levels(config):
        for key in keys:
            value = level.get(key)
            if isinstance(value, str):
                return value
    return None
