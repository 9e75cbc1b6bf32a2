"""What `doctor` looks at beside the other ports: this Python and its packages, mlx, a folder, the way to the Hub."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs this program. `wanted` is what the program asks for, such as `>=3.11`.

    `translated`: it is made for another processor than this machine has, and the system translates it.
    """

    implementation: str
    version: str
    wanted: str
    suits: bool
    system: str
    processor: str
    translated: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """A package that the program asks for. `wanted` is which versions, such as `>=0.32.2`; None: not installed."""

    name: str
    wanted: str
    installed: str | None
    suits: bool


@dataclass(frozen=True, slots=True)
class Device:
    """What mlx computes on: tried out, not only asked. `name` is the device's own, where it has one.

    `blas` names the library that multiplies matrices on the CPU, None where that cannot be told; `slow_blas`: it is
    the one that mlx brings. `other_gpu`: there is a GPU of NVIDIA's that this mlx does not use.
    """

    version: str
    kind: Literal["Metal", "CUDA", "CPU"]
    name: str | None = None
    blas: str | None = None
    slow_blas: bool = False
    other_gpu: bool = False


class Setup(Protocol):
    """This installation."""

    def interpreter(self) -> Interpreter:
        """Raises `errors.OperationError` when the program is not installed as a package."""

    def packages(self) -> tuple[Package, ...]:
        """Those that this system needs, in the order in which the program names them. Raises as `interpreter` does."""

    def device(self) -> Device:
        """Found out in another process, which may crash.

        Raises `errors.OperationError` that says how it ended; `details` is the end of what it printed.
        """

    def can_write(self, folder: str) -> bool:
        """Whether this user may make files in a folder, or make the folder where it does not exist yet."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The Hub's answer to one request. `status` is HTTP's; `token` is what it said to the user's token.

    None: there is no token. `unknown`: the Hub did not say.
    """

    address: str
    status: int
    token: Literal["accepted", "refused", "unknown"] | None


class HubAccess(Protocol):
    """The way to the Hub, and this user's token, which is never told."""

    def is_offline(self) -> bool:
        """Whether the user wants no network at all."""

    def has_token(self) -> bool: ...

    def reach(self, seconds: float) -> Reached:
        """One short request. Raises what `Hub` raises when no answer comes within `seconds`, or nobody is there."""
