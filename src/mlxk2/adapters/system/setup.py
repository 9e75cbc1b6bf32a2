"""This Python, its packages, and what mlx computes on; the last in a process of its own."""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from mlxk2.ports.errors import OperationError
from mlxk2.ports.examination import Device, Interpreter, Package
from mlxk2.ports.redaction import without_secrets

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DEVICE_COMMAND = (sys.executable, "-P", "-m", "mlxk2.adapters.mlx.device")
"""Prints what mlx computes on. `-P`: files in the current folder are no modules."""
_PROGRAM = "mlxk-json"
_PATIENCE = 60.0
"""Seconds that mlx may take to start: the first time on a slow disk it takes many."""
_LAST_LINES = 3


class SystemSetup:
    """The `Setup` port. `program` is the distribution whose requirements are looked at."""

    def __init__(
        self, program: str = _PROGRAM, command: Sequence[str] = DEVICE_COMMAND, patience: float = _PATIENCE
    ) -> None:
        self._program = program
        self._command = command
        self._patience = patience

    def interpreter(self) -> Interpreter:
        from packaging.specifiers import SpecifierSet

        version, wanted = platform.python_version(), ",".join(self._metadata().get_all("Requires-Python") or ())
        machine = platform.machine()
        return Interpreter(
            implementation=platform.python_implementation(),
            version=version,
            wanted=wanted,
            suits=SpecifierSet(wanted).contains(version, prereleases=True),
            system={"Darwin": "macOS"}.get(platform.system(), platform.system()),
            processor=machine,
            translated=sys.platform == "darwin" and machine != "arm64",  # mlx has Metal for arm64 alone
        )

    def packages(self) -> tuple[Package, ...]:
        from packaging.requirements import Requirement

        found = (Requirement(line) for line in self._metadata().get_all("Requires-Dist") or ())
        return tuple(_package(one) for one in found if one.marker is None or one.marker.evaluate({"extra": ""}))

    def device(self) -> Device:
        try:
            child = subprocess.run(  # noqa: S603 - the program's own command
                self._command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._patience,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OperationError(f"mlx did not start within {self._patience:g} seconds") from error
        except OSError as error:
            raise OperationError(f"Python cannot be started again: {(error.strerror or 'unknown').lower()}") from error
        try:
            return Device(**json.loads(child.stdout.splitlines()[-1]))
        except (ValueError, TypeError, IndexError):
            raise OperationError(
                f"mlx does not work: its process {_end(child.returncode)}", details=_last_words(child.stderr)
            ) from None

    def can_write(self, folder: str) -> bool:
        place = folder
        while not os.path.lexists(place) and os.path.dirname(place) != place:
            place = os.path.dirname(place)
        return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)

    def _metadata(self) -> metadata.PackageMetadata:
        try:
            return metadata.metadata(self._program)
        except metadata.PackageNotFoundError:
            raise OperationError(
                f"The package {self._program} is not installed, so nobody can tell what it asks for"
            ) from None


def _package(wanted: "Requirement") -> Package:
    try:
        installed = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        installed = None
    suits = installed is not None and wanted.specifier.contains(installed, prereleases=True)
    return Package(wanted.name, str(wanted.specifier), installed, suits)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"crashed with signal {-code} ({signal.strsignal(-code)})"


def _last_words(printed: str) -> str | None:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return without_secrets(" | ".join(lines[-_LAST_LINES:])) or None
