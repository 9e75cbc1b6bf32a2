"""Caches of healthy MLX models: one, thousands of small ones, a thousand of realistic size; built once, then kept."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.layout import WEIGHTS, Content, write_model

VERSION = "2"
"""Changes when the fixtures change, so that older ones are built anew."""

_GROUP = 64
_EDGE = 20 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a model's larger files; zero layers means a header of one tensor."""

    layers: int
    tokenizer: int
    added_tokens: int
    words: int


SMALL = Size(layers=0, tokenizer=0, added_tokens=4, words=20)
REALISTIC = Size(layers=16, tokenizer=2_000_000, added_tokens=60, words=600)


@dataclass(frozen=True, slots=True)
class Fixture:
    name: str
    models: int
    size: Size


ONE = Fixture("one", 1, REALISTIC)
SMALL_1000 = Fixture("small", 1000, SMALL)
SMALL_10000 = Fixture("small", 10_000, SMALL)
REALISTIC_1000 = Fixture("realistic", 1000, REALISTIC)


def cache_of(fixture: Fixture, base: Path) -> Path:
    """The fixture's cache folder below `base`, built when it is not there yet."""
    place = base / f"{fixture.name}-{fixture.models}"
    done = place / "done"
    if not done.is_file() or done.read_text() != VERSION:
        shutil.rmtree(place, ignore_errors=True)
        root = place / "hub"
        root.mkdir(parents=True)
        for number in range(fixture.models):
            write_model(root, f"mlx-community/Model-{number:04d}-Instruct-4bit", dict(_files(number, fixture.size)))
        done.write_text(VERSION)
    return place / "hub"


def _files(number: int, size: Size) -> Iterator[tuple[str, Content]]:
    """Seven small files and one to three shards; no two models have the same bytes."""
    shards = 1 + number % 3
    names = [f"model-{part + 1:05d}-of-{shards:05d}{WEIGHTS}" for part in range(shards)]
    names = ["model.safetensors"] if shards == 1 else names
    weight_map: dict[str, str] = {}
    for part, name in enumerate(names):
        tensors = list(_tensors(range(part * size.layers, (part + 1) * size.layers), number))
        weight_map |= dict.fromkeys((tensor for tensor, *_ in tensors), name)
        yield name, _safetensors(tensors)
    yield "model.safetensors.index.json", _json({"metadata": {"total_size": number}, "weight_map": weight_map})
    yield "config.json", _json(_config(number, size.layers * shards))
    yield "generation_config.json", _json({"eos_token_id": [number, 2], "temperature": 0.6, "top_p": 0.95})
    yield "tokenizer.json", _tokenizer(number, size.tokenizer)
    yield "tokenizer_config.json", _json(_tokenizer_config(number, size))
    yield "special_tokens_map.json", _json({"bos_token": "<s>", "eos_token": f"<end{number}>"})
    yield "README.md", Content(_card(number, size).encode())


def _tensors(layers: range, number: int) -> Iterator[tuple[str, str, list[int], int]]:
    """Name, type, shape and bytes of each tensor of 4-bit linear layers and norms."""
    width = 1024 + _GROUP * (number % 48)
    yield f"model.embed{layers.start}.weight", "U32", [100, width // 8], 400 * (width // 8)
    for layer in layers:
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield from _linear(f"model.layers.{layer}.self_attn.{part}", width)
        for part in ("gate_proj", "up_proj", "down_proj"):
            yield from _linear(f"model.layers.{layer}.mlp.{part}", width)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{norm}.weight", "BF16", [width], 2 * width


def _linear(name: str, width: int) -> Iterator[tuple[str, str, list[int], int]]:
    yield f"{name}.biases", "BF16", [width, width // _GROUP], 2 * width * (width // _GROUP)
    yield f"{name}.scales", "BF16", [width, width // _GROUP], 2 * width * (width // _GROUP)
    yield f"{name}.weight", "U32", [width, width // 8], 4 * width * (width // 8)


def _safetensors(tensors: list[tuple[str, str, list[int], int]]) -> Content:
    header: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for name, kind, shape, length in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + length]}
        end += length
    encoded = json.dumps(header, separators=(",", ":")).encode()
    return Content(len(encoded).to_bytes(8, "little") + encoded, size=8 + len(encoded) + end)


def _json(document: object) -> Content:
    return Content(json.dumps(document, indent=2).encode())


def _config(number: int, layers: int) -> dict[str, object]:
    width = 1024 + _GROUP * (number % 48)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "max_position_embeddings": 32768,
        "vocab_size": 100 + number,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_type": "llama3"},
        "quantization": {"group_size": _GROUP, "bits": 4},
        "quantization_config": {"group_size": _GROUP, "bits": 4},
        "torch_dtype": "bfloat16",
        "transformers_version": "4.52.4",
    }


def _tokenizer(number: int, size: int) -> Content:
    """Both ends are text, the middle of a large one is zeros."""
    rows = {f"piece{index:05d}-{number}": index for index in range(_EDGE // 24 if size else 1)}
    document = json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": rows}})
    return Content(document.encode(), document.encode() if size else b"", size)


def _tokenizer_config(number: int, size: Size) -> dict[str, object]:
    token = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "added_tokens_decoder": {
            str(index): {"content": f"<|reserved_{number}_{index}|>", **token} for index in range(size.added_tokens)
        },
        "chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}" * (1 + size.words // 100),
        "model_max_length": 32768,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _card(number: int, size: Size) -> str:
    matter = "---\nlibrary_name: mlx\npipeline_tag: text-generation\ntags:\n- mlx\nlicense: mit\n---\n"
    return f"{matter}# Model {number}\n{'A model for the benchmark. ' * (size.words // 5)}\n"
