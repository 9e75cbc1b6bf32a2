"""Which architectures the installed mlx-lm has, read from its files: importing it would cost most of a second."""

import ast
import importlib.util
import os
import re
from collections.abc import Sequence
from functools import cached_property

_VERSION = re.compile(r"""^__version__\s*=\s*["']([^"']+)["']""", re.MULTILINE)
_MODULE_NAME = re.compile(r"[\w.-]+")
_ABSOLUTE_IMPORT = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", re.MULTILINE)
_MODEL_CLASS = re.compile(r"^class Model\b|^Model\s*=|^from .* import .*\bModel\b", re.MULTILINE)


class MlxLmCatalogue:
    """The `RuntimeCatalogue` port; `package` may name another folder than the installed mlx_lm, for tests."""

    def __init__(self, package: str | None = None) -> None:
        self._package = package or _find_package()
        self._known: dict[str, bool] = {}

    def version(self) -> str | None:
        return self._version

    @cached_property
    def _version(self) -> str | None:
        match = _VERSION.search(self._source("_version.py"))
        return match[1] if match else None

    def supports(self, model_type: str, architectures: Sequence[str]) -> bool:
        module = self._remapped(model_type, architectures)
        if module not in self._known:
            source = self._source(os.path.join("models", f"{module}.py")) if _MODULE_NAME.fullmatch(module) else ""
            self._known[module] = bool(_MODEL_CLASS.search(source)) and _imports_are_installed(source)
        return self._known[module]

    def _remapped(self, model_type: str, architectures: Sequence[str]) -> str:
        """As mlx_lm.utils._get_classes: by (type, architecture) first, then by type."""
        for architecture in architectures:
            target = self._architecture_remapping.get((model_type, architecture))
            if target is not None:
                return target
        return self._remapping.get(model_type, model_type)

    @cached_property
    def _remapping(self) -> dict[str, str]:
        return {key: value for key, value in self._table("MODEL_REMAPPING").items() if isinstance(key, str)}

    @cached_property
    def _architecture_remapping(self) -> dict[tuple[str, str], str]:
        table = self._table("MODEL_ARCHITECTURE_REMAPPING")
        return {(key[0], key[1]): value for key, value in table.items() if isinstance(key, tuple) and len(key) == 2}

    def _table(self, name: str) -> dict[object, str]:
        match = re.search(rf"^{name}\b[^=]*=\s*(\{{.*?^\}})", self._utils, re.MULTILINE | re.DOTALL)
        if not match:
            return {}
        try:
            value = ast.literal_eval(match[1])
        except (ValueError, SyntaxError):
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def _utils(self) -> str:
        return self._source("utils.py")

    def _source(self, path: str) -> str:
        if self._package is None:
            return ""
        try:
            with open(os.path.join(self._package, path), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""


def _imports_are_installed(source: str) -> bool:
    """Some architectures need a package that mlx-lm does not bring (olmo: hf_olmo) and end the process without it."""
    return all(importlib.util.find_spec(name) is not None for name in set(_ABSOLUTE_IMPORT.findall(source)))


def _find_package() -> str | None:
    spec = importlib.util.find_spec("mlx_lm")
    locations = spec.submodule_search_locations if spec else None
    return next(iter(locations), None) if locations else None
