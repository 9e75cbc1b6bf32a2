"""What is told of one thing that was looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mlxk2.ports.errors import Mlxk2Error

Value = str | int | float | bool | None


class Verdict(Enum):
    """WARN: it works, but not as well as it could. FAIL: something of the program does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is a sentence without its full stop, `mend` what to do about it; None when there is nothing to do.

    `values` are the bare facts, by name, for programs; sizes are bytes.
    """

    check: str
    verdict: Verdict
    text: str
    mend: str | None = None
    values: tuple[tuple[str, Value], ...] = ()


Check = Callable[[], Finding]


def examine(name: str, check: Check) -> Finding:
    """What a check finds. One that cannot be carried out has found that, and no other check suffers for it."""
    try:
        return check()
    except Mlxk2Error as error:
        return failed(name, error)
    except Exception as error:  # noqa: BLE001 - a defect is a finding too
        return Finding(name, Verdict.FAIL, f"{type(error).__name__}: {error}", "please report this")


def failed(name: str, error: Mlxk2Error, mend: str | None = None) -> Finding:
    """The error in full. Its own sentence mostly has the mend, after a semicolon."""
    text, _, step = error.message.partition("; ")
    told = f"{text} [{error.details}]" if error.details else text
    return Finding(name, Verdict.FAIL, told, mend or step or None)
