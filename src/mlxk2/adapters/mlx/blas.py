"""OpenBLAS in the place of mlx's own matrix products, which are slow on a CPU. Linux only: macOS has Accelerate."""

import ctypes
import ctypes.util
import os
import sys
from contextlib import suppress

_SPINNING = "20"
"""How long, as a power of two of clock cycles, OpenBLAS's threads spin between two products before they sleep.

Its own 26 keeps all cores busy for the whole of a step, and the processes wait that pass the tokens on. With 20, less
than a millisecond, threads stay awake within a step, and the cores are free when MLX does something else.
"""
_NUMBERS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables in which users say how many threads it has."""


class OpenBlas:
    """The loaded library. `threads` it has for one product, unless it is told to use fewer.

    `kernels` is its name for the processors that they are written for, such as Haswell.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._in_use = self.threads = max(1, int(library.openblas_get_num_threads()))
        name = library.openblas_get_corename
        name.restype = ctypes.c_char_p
        self.kernels = name().decode("ascii", "replace")

    def use(self, threads: int) -> int:
        """So many at most for each product from now on; how many it uses then. A number that the user set is kept."""
        if not any(os.environ.get(name) for name in _NUMBERS) and threads != self._in_use:
            self._in_use = min(threads, self.threads)
            self._library.openblas_set_num_threads(self._in_use)
        return self._in_use


_loaded: list[OpenBlas] = []


def prefer_openblas() -> bool:
    """Let OpenBLAS answer mlx's BLAS calls. Has no effect once mlx is imported; True when it was found.

    It reads its settings from the environment while it is loaded: what the user has set there is kept.
    """
    if not sys.platform.startswith("linux") or "mlx.core" in sys.modules:
        return False
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _SPINNING)
    return _load_globally("libopenblas.so.0") or _load_globally(ctypes.util.find_library("openblas"))


def openblas() -> OpenBlas | None:
    """None where something else answers mlx's calls, or where its functions have other names."""
    return _loaded[0] if _loaded else None


def _load_globally(name: str | None) -> bool:
    if name is None:
        return False
    try:
        library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    with suppress(AttributeError):
        _loaded.append(OpenBlas(library))
    return True
