"""The two models: the demo and thirty million random parameters, both in float32 and with no end token they would say.

Answers of equal length are what makes tokens per second comparable. No peer is asked to hold the end back, which would
cost each of them something else: the copy of the demo names another end token, one that it never learned to say.

Both are entries of a Hugging Face cache of their own, for servers that serve what is in the cache.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.engine.random_model import VERSION, make_random_model

_DEMO = Path(__file__).parent.parent.parent / "src" / "mlxk2" / "assets" / "demo"
_NEVER_SAID = ("<|endoftext|>", 0)


@dataclass(frozen=True, slots=True)
class BenchModel:
    """`folder` holds float32 weights for everyone; `stock` is what a peer would be given without care.

    `reference` is the model's name in the cache, `cache` the folder `hub` of a Hugging Face home. `options` are fields
    that a chat request to it needs for an answer without reasoning.
    """

    name: str
    key: str
    reference: str
    cache: Path
    stock: Path
    options: Mapping[str, object]

    @property
    def folder(self) -> Path:
        return _snapshot(self.cache, self.reference)


def both_models(base: Path) -> tuple[BenchModel, ...]:
    return demo_model(base), random_model(base)


def demo_model(base: Path) -> BenchModel:
    """The demo as float32, and as it is shipped (float16); both without the end token."""
    thinking = {"chat_template_kwargs": {"enable_thinking": False}}
    stock = base / "engine-demo-float16"
    model = BenchModel("the demo model, 1.5 M parameters", "demo", "bench/demo32", _cache(base), stock, thinking)
    for folder in (stock, model.folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_DEMO, folder)
        _name_another_end(folder)
    _widen(model.folder / "model.safetensors")
    _point_main_at(model)
    return model


def random_model(base: Path) -> BenchModel:
    """Made once, then kept below `base`."""
    cache, reference = _cache(base), "bench/random30m"
    model = BenchModel("30 M random parameters", "30M", reference, cache, _snapshot(cache, reference), {})
    done = model.folder.parent.parent / f"done-{VERSION}"
    if not done.is_file():
        shutil.rmtree(model.folder, ignore_errors=True)
        make_random_model(model.folder)
        _point_main_at(model)
        done.touch()
    return model


def _cache(base: Path) -> Path:
    return base / "engine-home" / "hub"


def _snapshot(cache: Path, reference: str) -> Path:
    """Where the revision `main` of a model lies."""
    return cache / f"models--{reference.replace('/', '--')}" / "snapshots" / _commit(reference)


def _commit(reference: str) -> str:
    return hashlib.sha1(reference.encode(), usedforsecurity=False).hexdigest()


def _point_main_at(model: BenchModel) -> None:
    refs = model.folder.parent.parent / "refs"
    refs.mkdir(exist_ok=True)
    (refs / "main").write_text(_commit(model.reference))


def _name_another_end(folder: Path) -> None:
    text, token = _NEVER_SAID
    for name, key, value in (
        ("config.json", "eos_token_id", token),
        ("generation_config.json", "eos_token_id", token),
        ("tokenizer_config.json", "eos_token", text),
    ):
        path = folder / name
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, key: value}))


def _widen(weights: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = {name: tensor.astype(np.float32) for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "mlx"})
    config = weights.parent / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "torch_dtype": "float32"}))
