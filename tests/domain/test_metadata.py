"""Numbers read from a config."""

import pytest

from mlxk2.domain.metadata import context_length, read_metadata
from mlxk2.domain.snapshot import JsonObject
from mlxk2.testing.models import CONFIG


def test_the_usual_numbers_are_read() -> None:
    metadata = read_metadata({**CONFIG, "torch_dtype": "bfloat16", "num_key_value_heads": 2})  # type: ignore[dict-item]
    assert metadata is not None
    assert (metadata.model_type, metadata.quantization, metadata.quantization_group_size) == ("llama", "4bit", 64)
    assert (metadata.context_length, metadata.vocab_size, metadata.hidden_size) == (2048, 1000, 64)
    assert (metadata.num_attention_heads, metadata.num_hidden_layers, metadata.num_key_value_heads) == (4, 2, 2)
    assert metadata.torch_dtype == "bfloat16"
    assert metadata.architectures == ("LlamaForCausalLM",)


def test_an_empty_config_has_no_metadata() -> None:
    assert read_metadata({}) is None


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"quantization": {"bits": 8}}, "8bit"),
        ({"quantization_config": {"bits": 4, "quant_method": "awq"}}, "4bit"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization": {"bits": 4}, "quantization_config": {"bits": 8}}, "4bit"),
        ({"text_config": {"quantization_config": {"bits": 3}}}, "3bit"),
        ({"quantization": "yes"}, None),
        ({"model_type": "x"}, None),
    ],
)
def test_quantization_is_read_from_either_key(config: JsonObject, word: str | None) -> None:
    metadata = read_metadata(config)
    assert metadata is not None
    assert metadata.quantization == word


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_ctx": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 32768}}, 32768),
        ({"max_position_embeddings": "many"}, None),
        ({"max_position_embeddings": True}, None),
        ({}, None),
    ],
)
def test_the_context_length_is_looked_for_under_its_names(config: JsonObject, length: int | None) -> None:
    assert context_length(config) == length
