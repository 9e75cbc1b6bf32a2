"""What keeps the import of dependency_injector from costing more than all the rest of a short command."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LATER = {
    "asyncio": ("Future", "ensure_future", "gather"),
    "configparser": ("ConfigParser",),
    "dependency_injector.wiring": ("unwire", "wire"),
}
"""What dependency_injector takes of modules that it has a use for in some of its features only."""


class _HeldBack:
    """An import finder that knows nothing of the packages that dependency_injector tries in passing."""

    names = frozenset({"fast_depends", "fastapi", "pydantic", "pydantic_settings", "starlette", "werkzeug", "yaml"})

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name in cls.names:
            raise ModuleNotFoundError(f"{name} is not needed here", name=name)
        return None


@contextmanager
def without_extras() -> Iterator[None]:
    """While dependency_injector is imported: what only some of its features need is not.

    PyYAML, pydantic and others, where they are installed, are held back. What it takes of asyncio for providers that
    are awaited, of configparser for INI files and of its own wiring for injection by decorators imports these once it
    is called. Packages that are loaded already stay as they are.
    """
    sys.meta_path.insert(0, _HeldBack)
    missing = {name: names for name, names in _LATER.items() if name not in sys.modules}
    sys.modules |= {name: _later(name, *names) for name, names in missing.items()}
    try:
        yield
    finally:
        sys.meta_path.remove(_HeldBack)
        for name in missing:
            del sys.modules[name]


def _later(module: str, *names: str) -> ModuleType:
    """A module whose functions import the real one when they are called."""
    made = ModuleType(module)
    for name in names:
        setattr(made, name, _forwarding(module, name))
    return made


def _forwarding(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*args, **options)

    return call
