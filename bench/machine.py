"""What the numbers were measured on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from bench.blas import blas_described

_PACKAGES = (
    "mlxk-json",
    "mlx",
    "mlx-lm",
    "transformers",
    "huggingface_hub",
    "dependency-injector",
    "starlette",
    "uvicorn",
)


def describe() -> list[tuple[str, str]]:
    """Label and value, one row each."""
    load = f"{os.getloadavg()[0]:.1f}"
    return [
        ("Date", datetime.now(UTC).strftime("%Y-%m-%d")),
        ("CPU", f"{_processor()}, {os.cpu_count()} cores (load average at the start: {load})"),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("Packages", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)),
        ("BLAS", blas_described()),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
