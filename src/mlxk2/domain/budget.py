"""Who gets how much of the machine's memory: whether a model fits, and what is left for its requests.

One program may take a share of the memory, and no more than is free. A loaded model takes its weights; beside them it
needs room to compute, and the keys and values of its requests. Weights count as they are on disk: an engine that holds
them in a wider type does so only where memory is plentiful, and says afterwards what it holds.
"""

from dataclasses import dataclass
from math import ceil

from mlxk2.domain.kv import row_bytes
from mlxk2.domain.sizes import size
from mlxk2.ports.engine import KvCost
from mlxk2.ports.errors import NotEnoughMemory
from mlxk2.ports.system import Machine

MEMORY_SHARE = 0.75
"""The part of the memory that a model may take: Metal lets one process keep about three quarters of it."""
OVERHEAD = 1.1
"""What a loaded model takes beside its weights, for a short context: a tenth, as a rule of thumb."""
KV_SHARE = 0.8
"""The part of what the weights leave that keys and values may take: batches that grow are copied in passing."""
PREFIX_SHARE = 0.25
"""The part of a model's memory, beyond the least, that is kept for prefixes."""
_UNBOUNDED_PREFIXES = 10**9
"""The same for a model of which nobody knows what it may take."""
PROCESS = 100 * 10**6
"""What the process of a served model takes whatever its model: measured on Linux with a model of 6 MB."""
_LONG = 8192
"""Tokens of the one request that a served model must have room for, if its context is that long."""
_CROWD = (32, 2048)
"""Requests, and the tokens of each, that a served model should have room for at once."""
_UNKNOWN = (1 / 8, 1)
"""Where nobody can tell before loading: the bytes of the long request, and of the crowd, in weights."""


def fits(weights: int | None, memory: int | None) -> bool | None:
    """Both in bytes; None when one of them is not known."""
    if weights is None or memory is None:
        return None
    return weights * OVERHEAD <= memory * MEMORY_SHARE


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes. `grant` is what the program may take at this moment, `ceiling` what it may ever take; None is no bound."""

    grant: int | None = None
    ceiling: int | None = None

    def for_requests(self, weights_held: int) -> int | None:
        """What keys and values may take beside the weights as the engine holds them."""
        if self.grant is None:
            return None
        return max(int((self.grant - weights_held) * KV_SHARE), 0)

    def for_prefixes(self, weights: int) -> int:
        """What the prefix cache of one conversation may take beside the weights."""
        if self.grant is None:
            return _UNBOUNDED_PREFIXES
        return max(int((self.grant - weights * OVERHEAD) * PREFIX_SHARE), 0)


def plan_memory(machine: Machine) -> MemoryPlan:
    """What the machine has for one program: `run` with its model, or a server with all of them."""
    total = machine.total_memory()
    ceiling = None if total is None else int(total * MEMORY_SHARE)
    known = [amount for amount in (ceiling, machine.available_memory()) if amount is not None]
    return MemoryPlan(min(known, default=None), ceiling)


def check_fit(name: str, plan: MemoryPlan, weights: int, kv: int) -> None:
    """Raises NotEnoughMemory when the model, with `kv` bytes of keys and values, needs more than it may take."""
    needed = needed_bytes(weights, kv)
    if plan.grant is None or needed <= plan.grant:
        return
    loads = needed_bytes(weights, 0) <= plan.grant
    steps = ["ask for less with --max-tokens" if loads else "take a smaller quantization"]
    if plan.ceiling is None or needed <= plan.ceiling:
        steps.append("close other programs")
    raise NotEnoughMemory(
        f"'{name}' needs about {size(needed)} of memory, {size(weights)} of them for its weights, and this machine has"
        f" {size(plan.grant)} for it; {', '.join(steps)}, or try it anyway with --force-load",
        needed_bytes=needed,
        limit_bytes=plan.grant,
    )


def needed_bytes(weights: int, kv: int) -> int:
    """The smallest grant that has room for a model and so many bytes of keys and values."""
    return weights + max(round(weights * (OVERHEAD - 1)), round(kv / KV_SHARE))


@dataclass(frozen=True, slots=True)
class Appetite:
    """Bytes that a served model takes: its weights, keys and values of one long request, and of a crowd of requests.

    Beside them it needs room for its process, and to compute. `prefix_cache` None leaves a share of its memory to
    prefixes.
    """

    weights: int
    long: int
    crowd: int
    prefix_cache: int | None = None

    @property
    def least(self) -> int:
        """With less it would be of no use."""
        return self._base + _rounded_up(self.long / KV_SHARE)

    @property
    def desired(self) -> int:
        """More would hardly be used."""
        more = _rounded_up(max(self.crowd - self.long, 0) / KV_SHARE)
        return self.least + (_rounded_up(more / (1 - PREFIX_SHARE)) if self.prefix_cache is None else more)

    def for_prefixes(self, granted: int) -> int:
        """The part of the granted bytes that the prefix cache may take."""
        return int(max(granted - self.least, 0) * PREFIX_SHARE) if self.prefix_cache is None else self.prefix_cache

    def for_requests(self, granted: int) -> int:
        """What is left for keys and values."""
        prefixes = self.for_prefixes(granted) if self.prefix_cache is None else 0
        return max(int((granted - self._base - prefixes) * KV_SHARE), 0)

    @property
    def _base(self) -> int:
        return PROCESS + ceil(self.weights * OVERHEAD) + (self.prefix_cache or 0)


def appetite(weights: int, cost: KvCost | None, context: int | None, prefix_cache: int | None) -> Appetite:
    """`cost` None where nobody can tell what keys and values take; so is `context`, in tokens."""
    if cost is None:
        long, crowd = (int(weights * share) for share in _UNKNOWN)
        return Appetite(weights, long, crowd, prefix_cache)
    rows, tokens = _CROWD
    long = row_bytes(cost, min(context or _LONG, _LONG))
    return Appetite(weights, long, rows * row_bytes(cost, min(context or tokens, tokens)), prefix_cache)


def _rounded_up(amount: float) -> int:
    """With a byte more, so that no share of it comes out too small."""
    return ceil(amount) + 1
