"""A fast matrix multiplication on Linux, where it is available."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys


def use_fast_blas() -> None:
    """Load OpenBLAS before MLX so that its functions are found first; without it all works, but slowly."""
    if sys.platform != "linux":
        return
    name = ctypes.util.find_library("openblas")
    if name:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
