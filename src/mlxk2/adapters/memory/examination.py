"""The `Setup` and `HubAccess` ports with what a test chooses; an error in the place of a value is raised."""

from collections.abc import Sequence

from mlxk2.ports.errors import Mlxk2Error, NetworkProblem
from mlxk2.ports.examination import Device, Interpreter, Package, Reached

_PYTHON = Interpreter("CPython", "3.11.7", ">=3.11", suits=True, system="Linux", processor="x86_64")
_PACKAGES = (
    Package("mlx", ">=0.32.4", "0.32.4", suits=True),
    Package("mlx-lm", ">=0.32.2", "0.32.2", suits=True),
)
_DEVICE = Device("0.32.4", "CPU", "AMD EPYC", "OpenBLAS")


class MemorySetup:
    """An installation in which all is well, unless told otherwise."""

    def __init__(
        self,
        interpreter: Interpreter = _PYTHON,
        packages: Sequence[Package] | Mlxk2Error = _PACKAGES,
        device: Device | Mlxk2Error = _DEVICE,
        *,
        writable: bool = True,
    ) -> None:
        self._interpreter = interpreter
        self._packages = packages
        self._device = device
        self._writable = writable

    def interpreter(self) -> Interpreter:
        return self._interpreter

    def packages(self) -> tuple[Package, ...]:
        if isinstance(self._packages, Mlxk2Error):
            raise self._packages
        return tuple(self._packages)

    def device(self) -> Device:
        if isinstance(self._device, Mlxk2Error):
            raise self._device
        return self._device

    def can_write(self, folder: str) -> bool:  # noqa: ARG002 - the port's shape
        return self._writable


class MemoryHubAccess:
    """A Hub that answers with this status, and knows one token: the one that is there is accepted if `knows_token`."""

    def __init__(
        self,
        status: int = 200,
        *,
        has_token: bool = False,
        knows_token: bool = True,
        is_offline: bool = False,
        problem: Mlxk2Error | None = None,
    ) -> None:
        self._status = status
        self._has_token = has_token
        self._knows_token = knows_token
        self._is_offline = is_offline
        self._problem = problem

    def is_offline(self) -> bool:
        return self._is_offline

    def has_token(self) -> bool:
        return self._has_token

    def reach(self, seconds: float) -> Reached:  # noqa: ARG002 - the port's shape
        if self._is_offline:
            raise NetworkProblem("Offline mode is on")
        if self._problem is not None:
            raise self._problem
        if not self._has_token:
            return Reached("memory://hub", self._status, None)
        if not self._knows_token:
            return Reached("memory://hub", 401, "refused")
        return Reached("memory://hub", self._status, "accepted" if self._status < 300 else "unknown")
