"""OpenBLAS as we use it, for every peer that is to compute the same way."""

import json
import subprocess
import sys
from collections.abc import Mapping
from ctypes.util import find_library
from functools import cache

_ASK = """
import json, os
from mlxk2.adapters.mlx.blas import openblas, prefer_openblas
loaded, found = prefer_openblas(), openblas()
kernels = found.kernels if found else "unknown processors"
print(json.dumps([kernels if loaded else None, os.environ.get("OPENBLAS_CORETYPE")]))
"""


def same_blas() -> Mapping[str, str]:
    """The environment in which a peer computes with OpenBLAS, and with the kernels that we choose; empty without it."""
    library = find_library("openblas") if sys.platform.startswith("linux") else None
    _, chosen = _found()
    return ({"LD_PRELOAD": library} if library else {}) | ({"OPENBLAS_CORETYPE": chosen} if chosen else {})


def blas_described() -> str:
    """One cell of a table."""
    kernels, chosen = _found()
    if kernels is None:
        return "no OpenBLAS: MLX's own matrix product"
    return f"OpenBLAS, kernels for {kernels}" + (", which it does not choose by itself here" if chosen else "")


@cache
def _found() -> tuple[str | None, str | None]:
    """OpenBLAS's kernels, and which we told it to take, if it had to be told."""
    run = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    kernels, chosen = json.loads(run.stdout)
    return kernels, chosen
