"""The demo model itself: its size, its training loop and how it is stored."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models import qwen3
from render import Sample

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "hidden_act": "silu",
    "attention_bias": False,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
    "use_cache": True,
}
# Parts of MLX are untyped.
neural: Any = nn
optimizers: Any = optim

BATCH_TOKENS = 2048
PEAK_RATE = 1.8e-3
ONWARD_RATE = 8e-4
"""For a model that is trained already and is to learn some more."""


def build(config: dict[str, Any]) -> Any:
    """A new model with random weights."""
    model: Any = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    mx.eval(model.parameters())
    return model


def flat(parameters: Any) -> dict[str, mx.array]:
    """Nested parameters by their full names."""
    pairs: Any = tree_flatten(parameters)
    return dict(pairs)


def count(model: Any) -> int:
    """The number of parameters."""
    return sum(int(value.size) for value in flat(model.parameters()).values())


def batches(samples: Sequence[Sample], rng: random.Random) -> list[list[Sample]]:
    """Group samples of similar length, then shuffle the groups."""
    order = sorted(samples, key=lambda sample: (len(sample.ids), rng.random()))
    groups: list[list[Sample]] = [[]]
    for sample in order:
        if (len(groups[-1]) + 1) * len(sample.ids) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(sample)
    rng.shuffle(groups)
    return groups


def arrays(batch: Sequence[Sample]) -> tuple[mx.array, mx.array, mx.array]:
    """Padded ids, the flat places before each token to learn, and these tokens."""
    width = max(len(sample.ids) for sample in batch)
    ids = [sample.ids + [0] * (width - len(sample.ids)) for sample in batch]
    places, wanted = [], []
    for row, sample in enumerate(batch):
        for at, learn in enumerate(sample.learned):
            if learn:
                places.append(row * width + at - 1)
                wanted.append(sample.ids[at])
    return mx.array(ids), mx.array(places), mx.array(wanted)


def loss_of(model: Any, ids: mx.array, places: mx.array, wanted: mx.array) -> mx.array:
    """Mean cross entropy over the tokens to learn; only these get logits."""
    hidden = model.model(ids)
    rows = hidden.reshape(-1, hidden.shape[-1])[places]
    return nn.losses.cross_entropy(model.model.embed_tokens.as_linear(rows), wanted, reduction="mean")


def schedule(steps: int, peak: float) -> Any:
    """A short warm-up, then a cosine."""
    warm = min(150, steps // 10 + 1)
    rise = optim.linear_schedule(1e-5, peak, warm)
    return optim.join_schedules([rise, optim.cosine_decay(peak, steps - warm, 2e-5)], [warm])


def load_weights(model: Any, folder: Path) -> None:
    """Those that `save` has written, in float32 again."""
    weights: Any = mx.load(str(folder / "model.safetensors"))
    model.load_weights([(name, value.astype(mx.float32)) for name, value in weights.items()])
    mx.eval(model.parameters())


def fit(model: Any, epochs: Sequence[Sequence[Sample]], rng: random.Random, peak: float) -> None:
    """Train for all epochs and print the loss now and then."""
    plan = [batch for samples in epochs if samples for batch in batches(samples, rng)]
    optimizer = optimizers.AdamW(learning_rate=schedule(len(plan), peak), betas=[0.9, 0.98], weight_decay=0.05)
    step_of = neural.value_and_grad(model, loss_of)
    started, smooth = time.monotonic(), 0.0
    for number, batch in enumerate(plan, start=1):
        loss, gradients = step_of(model, *arrays(batch))
        gradients, _ = optimizers.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        mx.eval(model.parameters(), optimizer.state, loss)
        value = float(loss.item())
        smooth = value if number == 1 else 0.98 * smooth + 0.02 * value
        if number % 100 == 0 or number == len(plan):
            print(f"step {number}/{len(plan)}  loss {smooth:.4f}  {time.monotonic() - started:.0f} s", flush=True)


def save(model: Any, config: dict[str, Any], folder: Path) -> None:
    """Write the weights as float16, the config and the generation config."""
    halves = tree_map(lambda value: value.astype(mx.float16), model.parameters())
    mx.save_safetensors(str(folder / "model.safetensors"), flat(halves), metadata={"format": "mlx"})
    generation = {key: config[key] for key in ("eos_token_id", "pad_token_id")}
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
