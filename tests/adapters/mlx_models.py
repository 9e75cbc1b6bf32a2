"""Tiny random models of many architectures, made through mlx-lm, for tests that hold one engine against another.

Weights are float32 and drawn from a fixed seed, so that two threads can make the same model for themselves. All have
the demo model's vocabulary and tokenizer.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.resources import files
from itertools import takewhile
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map_with_path

from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.adapters.mlx.loading import LoadedModel, load_model
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import LoadOptions

DEMO = str(files("mlxk2") / "assets" / "demo")
VOCABULARY = 768
WINDOW = 48
"""Tokens that the sliding windows of these models hold: fewer than most test prompts have."""
CACHE = LoadOptions(prefix_cache_bytes=200_000_000)

_ATTENTION = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
_EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 32,
    "norm_topk_prob": True,
}
_LATENT = {
    "q_lora_rank": 32,
    "kv_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "num_key_value_heads": 4,
}

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _ATTENTION,
    "qwen3": _ATTENTION,
    "qwen3_moe": _ATTENTION | _EXPERTS,
    "gemma3_text": _ATTENTION | {"sliding_window": WINDOW, "sliding_window_pattern": 3, "query_pre_attn_scalar": 16},
    "gpt_oss": _ATTENTION | {"sliding_window": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "ministral3": _ATTENTION
    | {
        "sliding_window": WINDOW,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "rope_parameters": {
            "rope_theta": 10000.0,
            "rope_type": "default",
            "llama_4_scaling_beta": 0.1,
            "original_max_position_embeddings": 128,
        },
    },
    "cohere2": _ATTENTION | {"sliding_window": WINDOW, "sliding_window_pattern": 2, "logit_scale": 1.0},
    "lfm2": _ATTENTION
    | {
        "norm_eps": 1e-5,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 64,
        "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "block_ff_dim": 96,
        "full_attn_idxs": [1, 3],
    },
    "qwen3_next": _ATTENTION
    | _EXPERTS
    | {
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_conv_kernel_dim": 4,
        "shared_expert_intermediate_size": 32,
        "partial_rotary_factor": 0.5,
        "full_attention_interval": 2,
    },
    "falcon_h1": _ATTENTION
    | {
        "mamba_d_conv": 4,
        "mamba_d_head": 16,
        "mamba_d_ssm": 64,
        "mamba_d_state": 16,
        "mamba_n_groups": 1,
        "mamba_n_heads": 4,
        "lm_head_multiplier": 1.0,
    },
    "mamba": {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "state_size": 8,
        "num_hidden_layers": 3,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_rank": 4,
    },
    "mamba2": {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 8,
        "head_dim": 16,
        "state_size": 16,
        "num_hidden_layers": 3,
        "layer_norm_epsilon": 1e-5,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "tie_word_embeddings": False,
        "time_step_limit": (0.0, 100.0),
        "time_step_rank": 4,
    },
    "granitemoehybrid": _ATTENTION
    | {
        "attention_bias": False,
        "embedding_multiplier": 1.0,
        "attention_multiplier": 0.25,
        "logits_scaling": 1.0,
        "residual_multiplier": 1.0,
        "layer_types": ["mamba", "attention", "mamba", "attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 32,
        "mamba_n_heads": 8,
        "mamba_d_head": 16,
        "mamba_proj_bias": False,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_n_groups": 1,
        "mamba_conv_bias": True,
    },
    "recurrent_gemma": _ATTENTION
    | {
        "attention_bias": False,
        "conv1d_width": 4,
        "logits_soft_cap": 30.0,
        "num_key_value_heads": 1,
        "attention_window_size": WINDOW,
        "block_types": ["recurrent", "recurrent", "attention"],
    },
    "rwkv7": {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "norm_eps": 1e-5,
        "head_dim": 16,
        "num_hidden_layers": 3,
        "a_low_rank_dim": 8,
        "v_low_rank_dim": 8,
        "gate_low_rank_dim": 8,
        "decay_low_rank_dim": 8,
    },
    "deepseek_v2": _ATTENTION
    | _LATENT
    | {
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "topk_method": "greedy",
        "n_group": 1,
        "topk_group": 1,
        "rope_scaling": {
            "type": "yarn",
            "factor": 2.0,
            "original_max_position_embeddings": 2048,
            "beta_fast": 32,
            "beta_slow": 1,
            "mscale": 0.7,
            "mscale_all_dim": 0.7,
        },
    },
    "minicpm3": _ATTENTION
    | _LATENT
    | {
        "dim_model_base": 64,
        "scale_depth": 1.4,
        "scale_emb": 1.0,
        "rope_scaling": {
            "type": "longrope",
            "short_factor": [1.0] * 4,
            "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 4096,
        },
    },
    "deepseek_v32": _ATTENTION
    | _LATENT
    | {
        "index_head_dim": 16,
        "index_n_heads": 2,
        "index_topk": 32,
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
    },
    "longcat_flash": _ATTENTION
    | _LATENT
    | {
        "attention_method": "MLA",
        "zero_expert_type": "identity",
        "ffn_hidden_size": 96,
        "moe_topk": 2,
        "expert_ffn_hidden_size": 32,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "num_layers": 2,
        "routed_scaling_factor": 1.0,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
        "attention_bias": False,
    },
    "llama4": {
        "text_config": _ATTENTION
        | {
            "model_type": "llama4_text",
            "attention_bias": False,
            "attention_chunk_size": WINDOW,
            "interleave_moe_layer_step": 2,
            "intermediate_size_mlp": 96,
            "num_experts_per_tok": 1,
            "num_local_experts": 2,
            "rope_scaling": None,
            "use_qk_norm": True,
        }
    },
}


def new_model(architecture: str) -> Any:
    """The model of this architecture, the same at every call; its arrays belong to the calling thread."""
    module = import_module(f"mlx_lm.models.{architecture}")
    mx.random.seed(11)
    model = module.Model(module.ModelArgs.from_dict({"model_type": architecture} | CONFIGS[architecture]))
    model.update(tree_map_with_path(_settled, model.parameters()))
    mx.eval(model.parameters())
    model.eval()
    return model


def _settled(path: str, weight: mx.array) -> mx.array:
    """Matrices are drawn, with outputs about as large as their inputs; vectors stay as the architecture makes them."""
    if weight.ndim < 2 or not mx.issubdtype(weight.dtype, mx.floating):
        return weight
    scale = 1.0 if "embed" in path else weight.shape[-1] ** -0.5
    return mx.random.normal(weight.shape) * scale


def loading(architecture: str) -> Callable[[], LoadedModel]:
    """What an engine's thread calls to load the model."""

    def load() -> LoadedModel:
        tokenizer = load_model(DEMO, LoadOptions(), SystemMachine()).tokenizer
        return LoadedModel(new_model(architecture), tokenizer)

    return load


def new_engine(architecture: str, options: LoadOptions = CACHE) -> MlxEngine:
    return MlxEngine(loading(architecture), options, SystemMachine())


def greedy(model: Any, prompt: Sequence[int], count: int, ends: Sequence[int] = (0, 2)) -> list[int]:
    """mlx-lm's own answer to one prompt alone, up to the end token."""
    from mlx_lm.generate import generate_step

    tokens = (int(token) for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=count))
    return list(takewhile(lambda token: token not in ends, tokens))
