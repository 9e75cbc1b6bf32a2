"""Whether a model and the keys and values of a context fit into this machine's memory, before anything is loaded."""

from dataclasses import dataclass

from mlxk2.domain.budget import MemoryPlan, needed_bytes
from mlxk2.domain.kv import most_tokens, row_bytes
from mlxk2.ports.engine import KvCost
from mlxk2.ports.errors import ValidationError

LEAST_CONTEXT = 2048
"""Tokens with which a model is of use: with room for fewer it counts as not fitting, unless fewer were asked for."""
_UNKNOWN_CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class Needs:
    """What is known of a model: bytes of its weights, cost of its keys and values, and its context in tokens.

    None where nobody can tell.
    """

    weights: int | None
    cost: KvCost | None
    context_length: int | None


@dataclass(frozen=True, slots=True)
class Fit:
    """Bytes and tokens. `context` is the one that was looked at, `kv` what it takes, `needed` all that the model takes.

    `largest` is the longest context, at most the model's own, that there is room for; 0 when the weights alone are too
    large. `fits` is None where nobody can tell.
    """

    context: int
    kv: int | None
    needed: int | None
    largest: int | None
    fits: bool | None


def judge_fit(needs: Needs, plan: MemoryPlan, asked: int | None) -> Fit:
    """For a context of `asked` tokens; None means the whole one, or as much of it as is of use.

    Raises ValidationError for a context that the model does not have.
    """
    context = _context(needs, asked)
    kv = None if needs.cost is None else row_bytes(needs.cost, context)
    if needs.weights is None:
        return Fit(context, kv, None, None, None)
    needed = needed_bytes(needs.weights, kv or 0)
    largest = _largest(needs.weights, needs.cost, plan, needs.context_length or context)
    if plan.grant is None:
        return Fit(context, kv, needed, None, None)
    enough = needed <= plan.grant
    if asked is None and largest is not None:
        enough = largest >= min(context, LEAST_CONTEXT)
    return Fit(context, kv, needed, largest, enough)


def _context(needs: Needs, asked: int | None) -> int:
    own = needs.context_length
    if asked is None:
        return own or _UNKNOWN_CONTEXT
    if asked < 1:
        raise ValidationError(f"--context {asked} is out of range: it must be at least 1 token")
    if own is not None and asked > own:
        raise ValidationError(f"--context {asked} is more than this model's context of {own} tokens; ask for less")
    return asked


def _largest(weights: int, cost: KvCost | None, plan: MemoryPlan, ceiling: int) -> int | None:
    if cost is None or plan.grant is None:
        return None
    if needed_bytes(weights, 0) > plan.grant:
        return 0
    return most_tokens(cost, plan.for_requests(weights) or 0, ceiling)
