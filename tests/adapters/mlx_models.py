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
from tests.adapters.mlx_configs import CONFIGS

DEMO = str(files("mlxk2") / "assets" / "demo")
CACHE = LoadOptions(prefix_cache_bytes=200_000_000)


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
