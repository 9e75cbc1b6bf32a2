"""OpenBLAS in the place of mlx's own matrix products, which are slow on a CPU. Linux only: macOS has Accelerate."""

import _ctypes
import ctypes
import ctypes.util
import os
import sys
from collections.abc import Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SPINNING = "20"
"""How long, as a power of two of clock cycles, OpenBLAS's threads spin between two products before they sleep.

Its own 26 keeps all cores busy for the whole of a step, and the processes wait that pass the tokens on. With 20, less
than a millisecond, threads stay awake within a step, and the cores are free when MLX does something else.
"""
_NUMBERS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables in which users say how many threads it has."""
_KERNELS = "OPENBLAS_CORETYPE"
"""The environment variable that says for which processor its kernels are written."""
_OLDEST = "Prescott"
"""The kernels of processors that it does not know: before 0.3.25 all from Intel that are newer than it is itself.

They are five to nine times slower (github.com/OpenMathLib/OpenBLAS/issues/4267).
"""
_NEWER = (
    ("SkylakeX", frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})),
    ("Haswell", frozenset({"avx2", "fma"})),
)
"""Kernels, the best first, and what a processor must be able to do for them, in Linux's words."""

_BY_ROWS, _TURNED = 101, 112
"""CBLAS's numbers for how a matrix lies, and for one that is to be transposed."""


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

    def transpose(self, matrix: "NDArray[np.float32]", into: "NDArray[np.float32]") -> None:
        """Both lie by rows, (m, n) and (n, m). Its own way takes a tenth of numpy's time, 0.4 to 3 ns a number."""
        rows, columns = matrix.shape
        self._library.cblas_somatcopy(
            _BY_ROWS,
            _TURNED,
            rows,
            columns,
            ctypes.c_float(1),
            ctypes.c_void_p(matrix.ctypes.data),
            columns,
            ctypes.c_void_p(into.ctypes.data),
            rows,
        )


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


def kernels_for(able: Set[str]) -> str | None:
    """The best kernels for a processor that is able to do this; None when OpenBLAS's oldest are as good."""
    return next((kernels for kernels, needed in _NEWER if needed <= able), None)


def _load_globally(name: str | None) -> bool:
    library = _open(name)
    if library is None:
        return False
    try:
        blas = _at_its_best(library)
    except AttributeError:  # its functions have other names
        return True
    _loaded.extend([blas] if blas else [])
    return blas is not None


def _at_its_best(library: ctypes.CDLL) -> OpenBlas | None:
    """It chooses its kernels while it is loaded: where it did not know the processor, it is loaded once more.

    None when it has gone meanwhile.
    """
    blas = OpenBlas(library)
    better = kernels_for(_abilities()) if blas.kernels == _OLDEST and _KERNELS not in os.environ else None
    if better is None:
        return blas
    os.environ[_KERNELS] = better
    _ctypes.dlclose(library._handle)
    again = _open(library._name)
    blas_again = None if again is None else OpenBlas(again)
    if blas_again is None or blas_again.kernels == _OLDEST:  # somebody else had loaded it, too, so that it stayed
        del os.environ[_KERNELS]
    return blas_again


def _open(name: str | None) -> ctypes.CDLL | None:
    try:
        return None if name is None else ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None


def _abilities() -> Set[str]:
    """Of the processor; none where the system does not tell them in these words."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())
