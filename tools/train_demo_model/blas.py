"""Faster arithmetic on Linux: OpenBLAS where it is installed, and memory that is kept between steps."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from pathlib import Path

# Options of mallopt() in the GNU C library.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def use_fast_blas() -> None:
    """Load OpenBLAS before MLX so that its functions are found first; without it all works, but slowly."""
    if sys.platform != "linux":
        return
    kernels = _kernels()
    if kernels:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small: a second thread gains nothing
    name = ctypes.util.find_library("openblas")
    if name:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def _kernels() -> str:
    """The fastest kernels of this processor; an OpenBLAS older than it would take the slowest."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return ""
    return (
        "SkylakeX" if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags else "Haswell" if "avx2" in flags else ""
    )


def keep_memory() -> None:
    """Keep freed memory in the process: each step needs the same large arrays again."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(option, value)
