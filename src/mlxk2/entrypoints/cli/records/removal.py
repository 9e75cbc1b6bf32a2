"""What `rm` deletes, or would."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT


@dataclass(frozen=True)
class RemovalPlanObject:
    """What goes, and the bytes freed. `refs` and `blobs` are named for a revision; a whole model takes them all."""

    whole_model: bool
    revisions: list[str]
    refs: list[str]
    blobs: list[str]
    frees_bytes: int
    lock_files: list[str]


@dataclass(frozen=True)
class RemoveResult:
    """`action` is "planned" for a dry run, and then `plan` is there; "failed" occurs only in the results of a glob."""

    model: str
    action: Literal["deleted", "planned", "failed"]
    message: str
    plan: RemovalPlanObject | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class RemoveManyData:
    """The answer to a glob."""

    results: list[RemoveResult]


@dataclass(frozen=True)
class LocksData:
    """`data` of a `locks_present` error; names are relative to the cache folder."""

    model: str
    locks_detected: Literal[True]
    lock_files: list[str]
