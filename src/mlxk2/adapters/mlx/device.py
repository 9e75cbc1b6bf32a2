"""What mlx computes on: `python -P -m mlxk2.adapters.mlx.device` tries it out and prints it as one line of JSON.

A process of its own, because an mlx that does not belong on this machine may end it. Only `adapters/system` starts it.
"""

import json
import os
import re
import sys
from importlib.metadata import version
from typing import Any

from mlxk2.adapters.mlx.blas import prefer_openblas

_BLAS = (
    (re.compile(r"libopenblas", re.IGNORECASE), "OpenBLAS"),
    (re.compile(r"libmkl", re.IGNORECASE), "MKL"),
    (re.compile(r"libblis", re.IGNORECASE), "BLIS"),
)
_OWN = "the one that comes with mlx"
_NVIDIA = "/dev/nvidia0"


def describe_device() -> dict[str, Any]:
    """The fields of `Device`. Raises ImportError, and what mlx raises when it cannot compute."""
    found = prefer_openblas()
    import mlx.core as mx

    product = mx.ones((8, 8)) @ mx.ones((8, 8))
    if float(product.sum()) != 512.0:
        raise ArithmeticError("mlx computes wrong results on this device")
    kind = "CPU" if mx.default_device() == mx.cpu else "Metal" if mx.metal.is_available() else "CUDA"
    blas = _blas(openblas=found) if kind == "CPU" else None
    name = mx.device_info(mx.default_device()).get("device_name")
    return {
        "version": version("mlx"),
        "kind": kind,
        "name": name if isinstance(name, str) else None,
        "blas": blas,
        "slow_blas": blas == _OWN,
        "other_gpu": kind == "CPU" and os.path.exists(_NVIDIA),
    }


def _blas(*, openblas: bool) -> str | None:
    """By the libraries in this process's memory; macOS has one that mlx is always built with."""
    if sys.platform == "darwin":
        return "Accelerate"
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            maps = file.read()
    except OSError:
        return "OpenBLAS" if openblas else None
    return next((name for pattern, name in _BLAS if pattern.search(maps)), _OWN)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe_device()) + "\n")
