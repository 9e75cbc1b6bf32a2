"""Makes a Qwen3 model of 30 million random float32 parameters: `python -m bench.engine.random_model FOLDER`.

What it says means nothing, what it costs is that of a real model of its size: 4 layers of width 640, 4 heads on 2 pairs
of keys and values, a vocabulary of 16,384 byte-level tokens, a context of 32,768. Everything comes from fixed seeds.
Layers speak louder than embeddings, so that answers wander instead of repeating the last token. The end token's
embedding is zero: among 16,384 others it is practically never drawn, and every answer has the length that was asked.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.engine.prompts import words

Matrix = npt.NDArray[np.float32]
VERSION = "3"
"""Changes when the model changes, so that older ones are made anew."""
_SEED = 20_260
_VOCABULARY, _WIDTH, _INNER, _LAYERS, _HEADS, _KV_HEADS, _HEAD = 16_384, 640, 2_048, 4, 4, 2, 128
_END, _START = "<|im_end|>", "<|im_start|>"
_SPECIAL = (_END, _START)
"""The trainer numbers them from 0."""
_LOUDNESS = 0.1
_CARD = """\
---
library_name: mlx
pipeline_tag: text-generation
tags:
- mlx
---
Random numbers, for benchmarks.
"""
"""Some programs serve a model only when its card says that it is for MLX."""
_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def make_random_model(folder: Path) -> None:
    """Write config, weights, tokenizer and card into `folder`, which is created."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    end = _write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(_config(end), indent=2))
    (folder / "README.md").write_text(_CARD)
    save_file(dict(_weights(end)), folder / "model.safetensors", metadata={"format": "mlx"})


def _config(end: int) -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": _WIDTH,
        "num_hidden_layers": _LAYERS,
        "intermediate_size": _INNER,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KV_HEADS,
        "head_dim": _HEAD,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "max_position_embeddings": 32_768,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": _VOCABULARY,
        "eos_token_id": end,
    }


def _weights(end: int) -> Iterator[tuple[str, Matrix]]:
    random = np.random.default_rng(_SEED)

    def matrix(rows: int, columns: int, scale: float) -> Matrix:
        return random.standard_normal((rows, columns), dtype=np.float32) * np.float32(scale)

    def linear(rows: int, columns: int) -> Matrix:
        return matrix(rows, columns, 1 / math.sqrt(columns))

    embeddings = matrix(_VOCABULARY, _WIDTH, _LOUDNESS)
    embeddings[end] = 0
    yield "model.embed_tokens.weight", embeddings
    yield "model.norm.weight", np.ones(_WIDTH, np.float32)
    for layer in range(_LAYERS):
        prefix = f"model.layers.{layer}"
        for name, size in (("input_layernorm", _WIDTH), ("post_attention_layernorm", _WIDTH)):
            yield f"{prefix}.{name}.weight", np.ones(size, np.float32)
        for name in ("q_norm", "k_norm"):
            yield f"{prefix}.self_attn.{name}.weight", np.ones(_HEAD, np.float32)
        yield f"{prefix}.self_attn.q_proj.weight", linear(_HEADS * _HEAD, _WIDTH)
        yield f"{prefix}.self_attn.k_proj.weight", linear(_KV_HEADS * _HEAD, _WIDTH)
        yield f"{prefix}.self_attn.v_proj.weight", linear(_KV_HEADS * _HEAD, _WIDTH)
        yield f"{prefix}.self_attn.o_proj.weight", linear(_WIDTH, _HEADS * _HEAD)
        yield f"{prefix}.mlp.gate_proj.weight", linear(_INNER, _WIDTH)
        yield f"{prefix}.mlp.up_proj.weight", linear(_INNER, _WIDTH)
        yield f"{prefix}.mlp.down_proj.weight", linear(_WIDTH, _INNER)


def _write_tokenizer(folder: Path) -> int:
    """Byte-level BPE, trained on made-up words; returns the end token's id."""
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Decoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = Decoder()
    trainer = BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(_SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((f" {word}" for word in words(_SEED, 60_000)), trainer)
    if tokenizer.get_vocab_size() != _VOCABULARY:
        raise ValueError(f"The tokenizer has {tokenizer.get_vocab_size()} tokens; its corpus is too small")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": _END,
                "chat_template": _TEMPLATE,
                "clean_up_tokenization_spaces": False,
            }
        )
    )
    return _SPECIAL.index(_END)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.engine.random_model", description=__doc__)
    parser.add_argument("folder", type=Path)
    make_random_model(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
