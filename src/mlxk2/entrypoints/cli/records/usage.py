"""What `du` tells of the space that models take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RevisionUsageObject:
    """`own_bytes` and `shared_bytes` add up to `size_bytes`."""

    hash: str
    refs: list[str]
    size_bytes: int
    own_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class ModelUsageObject:
    """`reason` says why the numbers are too small, or null."""

    name: str
    size_bytes: int
    own_bytes: int
    shared_bytes: int
    shared_with: list[str]
    partial_bytes: int
    unused_bytes: int
    revisions: list[RevisionUsageObject]
    reason: str | None


@dataclass(frozen=True)
class UsageData:
    """`models_bytes` are of the models that are shown, `other_bytes` of what belongs to no model."""

    models: list[ModelUsageObject]
    count: int
    models_bytes: int
    other_bytes: int
    cache_bytes: int
    free_bytes: int
    unread: list[str]
