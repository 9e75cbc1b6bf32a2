"""What `verify` and `health --deep` tell: health, and the files whose content is wrong."""

from dataclasses import dataclass

from mlxk2.entrypoints.cli.records.models import HealthWord


@dataclass(frozen=True)
class UncheckedFile:
    """Neither a blob's name nor a listing tells its hash."""

    revision: str
    path: str


@dataclass(frozen=True)
class DamagedFile:
    """`problem` is half a sentence; `expected` and `found` are hashes, null where there are none."""

    revision: str
    path: str
    problem: str
    expected: str | None
    found: str | None


@dataclass(frozen=True)
class VerifyRow:
    """A row of `health`, and of which revisions how many contents, and of how many bytes, the hash is known."""

    name: str
    status: HealthWord
    reason: str | None
    revisions: list[str]
    files_checked: int
    bytes_checked: int
    unchecked: list[UncheckedFile]
    damaged: list[DamagedFile]


@dataclass(frozen=True)
class VerifySummary:
    """`bytes_read` were read now; the other hashes were remembered."""

    total: int
    healthy_count: int
    unhealthy_count: int
    files_checked: int
    bytes_checked: int
    bytes_read: int


@dataclass(frozen=True)
class VerifyData:
    healthy: list[VerifyRow]
    unhealthy: list[VerifyRow]
    summary: VerifySummary
