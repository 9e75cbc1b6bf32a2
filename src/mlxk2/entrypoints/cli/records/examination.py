"""What the program stands on: `doctor`."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class CheckObject:
    """One thing that was looked at. `mend` says what to do about it, null when there is nothing to do.

    `values` are the bare facts by name; sizes are bytes. A check that could not be carried out has none.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    mend: str | None
    values: dict[str, Any]


@dataclass(frozen=True)
class CheckSummary:
    ok: int
    warn: int
    fail: int


@dataclass(frozen=True)
class DoctorData:
    checks: list[CheckObject]
    summary: CheckSummary
