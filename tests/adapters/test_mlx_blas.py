"""OpenBLAS in mlx's place: when it is loaded, with which settings, and with which kernels."""

import os
import platform
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from mlxk2.adapters.mlx.blas import kernels_for

needs_openblas = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() != "x86_64" or find_library("openblas") is None,
    reason="there is no OpenBLAS, or it has other kernels here",
)
_PRINT_KERNELS = (
    "from mlxk2.adapters.mlx import blas\nblas.prefer_openblas()\nimport mlx.core as mx\n"
    "assert mx.allclose(mx.ones((70, 70)) @ mx.ones((70, 70)), mx.full((70, 70), 70.0))\n"
    "print(blas.openblas().kernels)"
)


def test_openblas_is_loaded_before_mlx_where_the_system_has_it() -> None:
    code = "from mlxk2.adapters.mlx.blas import prefer_openblas; print(prefer_openblas())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    on_this_system = sys.platform.startswith("linux") and find_library("openblas") is not None
    assert run.stdout.strip() == str(on_this_system)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a BLAS of their own")
@pytest.mark.parametrize(("wanted", "set_to"), [(None, "20"), ("26", "26")])
def test_openblas_threads_do_not_keep_cores_busy_for_long_unless_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, set_to: str
) -> None:
    name = "OPENBLAS_THREAD_TIMEOUT"
    monkeypatch.delenv(name, raising=False)
    if wanted is not None:
        monkeypatch.setenv(name, wanted)
    code = (
        "import ctypes\nfrom mlxk2.adapters.mlx.blas import prefer_openblas\nprefer_openblas()\n"
        "libc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p\n"
        f"print(libc.getenv(b'{name}').decode())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == set_to


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        ("sse2 ssse3 avx avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl amx_tile", "SkylakeX"),
        ("sse2 ssse3 avx avx2 fma", "Haswell"),
        ("sse2 ssse3 avx avx2 fma avx512f avx512cd", "Haswell"),
        ("sse2 ssse3 avx", None),
        ("", None),
    ],
)
def test_kernels_are_the_best_that_the_processor_can_run(flags: str, kernels: str | None) -> None:
    assert kernels_for(frozenset(flags.split())) == kernels


def kernels_in_use(code: str = _PRINT_KERNELS, **environ: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean | environ)
    return run.stdout.strip()


@needs_openblas
def test_a_processor_that_openblas_does_not_know_is_not_taken_for_the_oldest() -> None:
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    as_it_is = "import ctypes; b = ctypes.CDLL('libopenblas.so.0').openblas_get_corename; b.restype = ctypes.c_char_p\n"
    own = kernels_in_use(f"{as_it_is}print(b().decode())")
    better = kernels_for(frozenset(flags.split())) or own
    assert kernels_in_use() == (better if own == "Prescott" else own)


_UNKNOWN = """
import os
from mlxk2.adapters.mlx import blas
class Unknown(blas.OpenBlas):
    def __init__(self, library):
        super().__init__(library)
        self.kernels = self.kernels if "OPENBLAS_CORETYPE" in os.environ else "Prescott"
blas.OpenBlas = Unknown
blas._abilities = lambda: {"avx2", "fma"}
"""
"""A processor that OpenBLAS does not know, whichever this is."""


@needs_openblas
def test_openblas_is_loaded_again_with_better_kernels() -> None:
    assert kernels_in_use(_UNKNOWN + _PRINT_KERNELS) == "Haswell"


@needs_openblas
def test_kernels_that_the_user_wants_are_kept() -> None:
    assert kernels_in_use(OPENBLAS_CORETYPE="Prescott") == "Prescott"


def test_openblas_cannot_help_once_mlx_is_loaded() -> None:
    code = "import mlx.core; from mlxk2.adapters.mlx.blas import prefer_openblas; print(prefer_openblas())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


_GONE = """
def gone(name, *, found=iter([True]), own=blas._open):
    return own(name) if next(found, False) else None
blas._open = gone
print(blas.prefer_openblas(), "OPENBLAS_CORETYPE" in os.environ)
"""


@needs_openblas
def test_a_library_that_goes_meanwhile_is_none() -> None:
    assert kernels_in_use(_UNKNOWN + _GONE) == "False False"


@needs_openblas
def test_openblas_transposes_a_matrix() -> None:
    code = (
        "from mlxk2.adapters.mlx.blas import openblas, prefer_openblas\nimport numpy as np\nprefer_openblas()\n"
        "for shape in ((1, 1), (3, 70), (192, 768)):\n"
        "    matrix = np.random.default_rng(1).normal(size=shape).astype(np.float32)\n"
        "    into = np.empty(shape[::-1], np.float32)\n"
        "    openblas().transpose(matrix, into)\n"
        "    assert np.array_equal(into, matrix.T)\n"
        "print('right')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "right"
