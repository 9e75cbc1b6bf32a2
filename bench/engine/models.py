"""The two models: the demo and thirty million random parameters, both in float32 and with no end token they would say.

Answers of equal length are what makes tokens per second comparable. No peer is asked to hold the end back, which would
cost each of them something else: the copy of the demo names another end token, one that it never learned to say.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.engine.random_model import VERSION, make_random_model

_DEMO = Path(__file__).parent.parent.parent / "src" / "mlxk2" / "assets" / "demo"
_NEVER_SAID = ("<|endoftext|>", 0)


@dataclass(frozen=True, slots=True)
class BenchModel:
    """`folder` holds float32 weights for everyone; `stock` is what a peer would be given without care."""

    name: str
    key: str
    folder: Path
    stock: Path


def both_models(base: Path) -> tuple[BenchModel, ...]:
    return demo_model(base), random_model(base)


def demo_model(base: Path) -> BenchModel:
    """The demo as float32, and as it is shipped (float16); both without the end token."""
    place = base / "engine-demo"
    shutil.rmtree(place, ignore_errors=True)
    shipped, full = place / "float16", place / "float32"
    for folder in (shipped, full):
        shutil.copytree(_DEMO, folder)
        _name_another_end(folder)
    _widen(full / "model.safetensors")
    return BenchModel("the demo model, 1.5 M parameters", "demo", full, shipped)


def random_model(base: Path) -> BenchModel:
    """Made once, then kept below `base`."""
    place = base / f"engine-random-{VERSION}"
    if not (place / "done").is_file():
        shutil.rmtree(place, ignore_errors=True)
        make_random_model(place / "model")
        (place / "done").touch()
    return BenchModel("30 M random parameters", "30M", place / "model", place / "model")


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
