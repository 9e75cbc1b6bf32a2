"""Loading a snapshot into memory with mlx-lm, in the thread that will own the model.

On a CPU mlx's own matrix product is slow: OpenBLAS is put before it where the system has one, and weights are held in
float32 when memory allows, which is many times faster there than 16-bit or quantized weights.
"""

import glob
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import Any

from mlxk2.adapters.mlx.blas import openblas, prefer_openblas
from mlxk2.adapters.mlx.importing import faster_imports
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import OperationError
from mlxk2.ports.system import Machine

_LONGEST_REASON = 200
_MEMORY_SHARE = 0.5
"""The part of the available memory that a float32 copy of the weights may take."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What mlx-lm made of the snapshot: its model and its tokenizer wrapper."""

    model: Any
    tokenizer: Any


def load_model(location: str, options: LoadOptions, machine: Machine) -> LoadedModel:
    """Raises OperationError with mlx-lm's reason when the snapshot cannot be loaded."""
    if not (Path(location) / "config.json").is_file():
        raise OperationError(
            "There is no model to load: that folder has no config.json; give the folder of a snapshot,"
            " models--org--name/snapshots/<commit> in the cache"
        )
    prefer_openblas()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its advice on lengths is not for this program's users
    try:
        with faster_imports():
            import_module("mlx_lm.utils")
    except ImportError as error:
        raise OperationError(f"MLX cannot be used here: {error}; install it with: pip install mlx-lm") from error
    try:
        with _without_glob_characters(location) as path:
            return _load(path, options, machine)
    except MemoryError as error:
        raise OperationError("There is not enough memory for this model; try a smaller or quantized one") from error
    except (Exception, SystemExit) as error:  # some of mlx-lm's model files call exit()
        raise OperationError(
            f"mlx-lm could not load this model: {_one_line(error)}; its config.json and weights may not belong"
            " together, or this mlx-lm is too old for it"
        ) from error


def _load(path: Path, options: LoadOptions, machine: Machine) -> LoadedModel:
    import mlx_lm.tokenizer_utils
    import mlx_lm.utils

    model, config = mlx_lm.utils.load_model(path, lazy=True, trust_remote_code=options.trust_remote_code)
    _settle(model, machine)
    tokenizer = mlx_lm.tokenizer_utils.load(
        path, {"trust_remote_code": options.trust_remote_code}, eos_token_ids=config.get("eos_token_id")
    )
    return LoadedModel(model, tokenizer)


@contextmanager
def _without_glob_characters(location: str) -> Iterator[Path]:
    """A path to the snapshot in which mlx-lm's glob for the weights finds no wildcard: its own, or a link to it."""
    if glob.escape(location) == location:
        yield Path(location)
        return
    with tempfile.TemporaryDirectory(prefix="mlxk2-") as folder:
        link = Path(folder) / "snapshot"
        link.symlink_to(location)
        yield link


def _settle(model: Any, machine: Machine) -> None:
    """Evaluate the lazily loaded weights; on a CPU as float32, dequantized, when that fits into memory."""
    import mlx.core as mx
    import mlx_lm.utils

    on_cpu = mx.default_device() == mx.cpu
    if on_cpu:
        available = machine.available_memory()
        needed = 4 * int(mlx_lm.utils.get_total_parameters(model))
        if available is not None and needed <= available * _MEMORY_SHARE:
            mlx_lm.utils.dequantize_model(model)
            model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    if on_cpu:
        _suit_cpu(model)


def _suit_cpu(model: Any) -> None:
    from mlxk2.adapters.mlx.products import suit_openblas
    from mlxk2.adapters.mlx.quick_math import quicken

    quicken()
    if (blas := openblas()) is not None:
        suit_openblas(model, blas)


def end_streams() -> None:
    """Wait for and drop what this thread computes on; without it, a process that ends right afterwards is aborted."""
    mlx = sys.modules.get("mlx.core")
    if mlx is not None:
        mlx.clear_streams()


@contextmanager
def wired_memory() -> Iterator[None]:
    """While generating on Metal, let the system keep the weights in memory; does nothing on other devices."""
    import mlx.core as mx
    from mlx_lm.generate import generation_stream
    from mlx_lm.utils import maybe_set_recommended_wired_limit

    previous = maybe_set_recommended_wired_limit()
    try:
        yield
    finally:
        if previous is not None:
            mx.synchronize(generation_stream)
            mx.set_wired_limit(previous)


def _one_line(error: BaseException) -> str:
    """The error's words on one line, the beginning of a long list of them."""
    return shorten(str(error), _LONGEST_REASON, placeholder=" …").rstrip(".;") or type(error).__name__
