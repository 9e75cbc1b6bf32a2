"""Importing mlx-lm in less time (docs/ADR/0006).

Most of mlx-lm's import is transformers, and a quarter of that is transformers scanning its own folders twice: the cache
of its scan holds 128 entries and it has some 550 folders. While it is imported, that cache gets room for all of them.
Collecting garbage during imports finds nothing and takes a tenth of the time.
"""

import functools
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_MODULE = "transformers.utils.import_utils"
_SCAN = "create_import_structure_from_path"


class _ScanMemo:
    """An import finder that gives one function of one module a cache without bound, and touches nothing else."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            scan = getattr(getattr(module, _SCAN, None), "__wrapped__", None)
            if scan is not None:
                setattr(module, _SCAN, functools.cache(scan))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextmanager
def faster_imports() -> Iterator[None]:
    """Wrap the first import of mlx-lm in this; afterwards everything is as usual, with the collector on."""
    if _MODULE in sys.modules:
        yield
        return
    sys.meta_path.insert(0, _ScanMemo)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.meta_path.remove(_ScanMemo)
