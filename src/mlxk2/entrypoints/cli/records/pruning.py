"""What `prune` takes away, or would."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT

LeftoverKind = Literal["revision", "blob", "partial", "folder", "payload", "trash", "lock", "record"]


@dataclass(frozen=True)
class LeftoverObject:
    """One thing: `name` is a commit, a blob or a file; `reason` says why it is still there."""

    kind: LeftoverKind
    model: str | None
    name: str
    size_bytes: int
    last_modified: str
    action: Literal["planned", "deleted", "kept", "failed"]
    reason: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class KeptObject:
    """A model that nothing was taken from that might have gone, or not all."""

    model: str
    reason: str


@dataclass(frozen=True)
class PruneData:
    """`frees_bytes` is what a dry run would free, or what has been freed."""

    action: Literal["planned", "pruned"]
    message: str
    leftovers: list[LeftoverObject]
    kept: list[KeptObject]
    count: int
    frees_bytes: int
