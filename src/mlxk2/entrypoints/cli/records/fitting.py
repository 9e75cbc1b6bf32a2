"""Whether a model will run here: `fit`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MemoryObject:
    """Bytes; null where the system does not tell. `limit_bytes` is what a model may ever take here, `usable_bytes` now.

    `available_bytes` is what programs can take without swapping.
    """

    total_bytes: int | None
    available_bytes: int | None
    limit_bytes: int | None
    usable_bytes: int | None


@dataclass(frozen=True)
class FitData:
    """Bytes and tokens; null where nobody can tell before the model is loaded. `context_length` is the model's own.

    `kv_bytes` are the keys and values of `context` tokens; `needed_bytes` has room for weights, these and computing.
    `largest_context` is the longest that fits, at most the model's own; 0 when the weights alone do not.
    `runtime_compatible` and `reason` tell whether the installed mlx-lm could run it.
    """

    model: str
    hash: str
    source: Literal["cache", "hub", "package"]
    context_length: int | None
    context: int
    weights_bytes: int | None
    kv_bytes: int | None
    needed_bytes: int | None
    memory: MemoryObject
    largest_context: int | None
    fits: bool | None
    runtime_compatible: bool
    reason: str | None
    message: str
    next_step: str
