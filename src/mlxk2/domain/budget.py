"""Who gets how much of the machine's memory: whether a model fits, and what is left for its requests.

One program may take a share of the memory, and no more than is free. A loaded model takes its weights; beside them it
needs room to compute, and the keys and values of its requests. Weights count as they are on disk: an engine that holds
them in a wider type does so only where memory is plentiful, and says afterwards what it holds.
"""

from dataclasses import dataclass

from mlxk2.domain.sizes import size
from mlxk2.ports.errors import NotEnoughMemory
from mlxk2.ports.system import Machine

MEMORY_SHARE = 0.75
"""The part of the memory that a model may take: Metal lets one process keep about three quarters of it."""
OVERHEAD = 1.1
"""What a loaded model takes beside its weights, for a short context: a tenth, as a rule of thumb."""
KV_SHARE = 0.8
"""The part of what the weights leave that keys and values may take: batches that grow are copied in passing."""
PREFIX_SHARE = 0.25
"""The part of what the weights leave that is kept for prefixes, where many requests come."""


def fits(weights: int | None, memory: int | None) -> bool | None:
    """Both in bytes; None when one of them is not known."""
    if weights is None or memory is None:
        return None
    return weights * OVERHEAD <= memory * MEMORY_SHARE


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes. `grant` is what the model may take at this moment, `ceiling` what it may ever take; None is no bound."""

    grant: int | None = None
    ceiling: int | None = None
    prefix_cache: int = 0

    def for_requests(self, weights_held: int) -> int | None:
        """What keys and values may take beside the weights as the engine holds them."""
        if self.grant is None:
            return None
        return max(int((self.grant - weights_held - self.prefix_cache) * KV_SHARE), 0)


def plan_memory(machine: Machine, weights: int, *, keeps_prefixes: bool = False) -> MemoryPlan:
    """The plan for a model with `weights` bytes of weights; `keeps_prefixes` when requests will share beginnings."""
    total = machine.total_memory()
    ceiling = None if total is None else int(total * MEMORY_SHARE)
    known = [amount for amount in (ceiling, machine.available_memory()) if amount is not None]
    grant = min(known, default=None)
    rest = max((grant or 0) - weights, 0)
    return MemoryPlan(grant, ceiling, int(rest * PREFIX_SHARE) if keeps_prefixes else 0)


def check_fit(name: str, plan: MemoryPlan, weights: int, kv: int) -> None:
    """Raises NotEnoughMemory when the model, with `kv` bytes of keys and values, needs more than it may take."""
    needed = _needed(weights, kv)
    if plan.grant is None or needed <= plan.grant:
        return
    loads = _needed(weights, 0) <= plan.grant
    steps = ["ask for less with --max-tokens" if loads else "take a smaller quantization"]
    if plan.ceiling is None or needed <= plan.ceiling:
        steps.append("close other programs")
    raise NotEnoughMemory(
        f"'{name}' needs about {size(needed)} of memory, {size(weights)} of them for its weights, and this machine has"
        f" {size(plan.grant)} for it; {', '.join(steps)}, or try it anyway with --force-load",
        needed_bytes=needed,
        limit_bytes=plan.grant,
    )


def _needed(weights: int, kv: int) -> int:
    """The smallest grant that has room for both."""
    return weights + max(round(weights * (OVERHEAD - 1)), round(kv / KV_SHARE))
