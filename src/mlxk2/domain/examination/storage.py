"""Findings on memory, the cache and its disk."""

from collections.abc import Sequence

from mlxk2.domain.budget import plan_memory
from mlxk2.domain.examination.finding import Finding, Verdict
from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME, printable
from mlxk2.domain.sizes import size
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.examination import Setup
from mlxk2.ports.system import Machine

_LITTLE_MEMORY = 2 * 10**9
"""Bytes; with less than that hardly a model of use can be loaded."""
_LITTLE_DISK = 5 * 10**9
"""Bytes; most models worth running do not go into less."""
_NO_DISK = 100 * 10**6


def check_memory(machine: Machine) -> Finding:
    total, free, plan = machine.total_memory(), machine.available_memory(), plan_memory(machine)
    values = (("total_bytes", total), ("available_bytes", free), ("usable_bytes", plan.grant))
    if total is None or plan.grant is None:
        return Finding("memory", Verdict.OK, "Not told by this system", values=values)
    known = "" if free is None else f", {size(free)} free"
    text = f"{size(total)}{known}; a model may take {size(plan.grant)} now"
    if plan.grant < _LITTLE_MEMORY:
        return Finding("memory", Verdict.WARN, text, "close other programs, or take small models", values)
    return Finding("memory", Verdict.OK, text, values=values)


def check_cache(cache: ModelCache, inspector: Inspector, setup: Setup) -> Finding:
    place = cache.place()
    summaries = inspector.judge_all(None)
    broken = [one for one in summaries if not one.health.healthy and not one.is_downloading]
    values = (("path", place), ("models", len(summaries)), ("unhealthy", len(broken)))
    text = f"{_count(len(summaries), 'model')} in {printable(place)}"
    if not setup.can_write(place):
        mend = "check its permissions, or name another place with HF_HUB_CACHE"
        return Finding("cache", Verdict.WARN, f"{text}; it cannot be written to: pull and rm will fail", mend, values)
    if broken:
        return Finding("cache", Verdict.WARN, f"{text}, {_named(broken)}", _mend(broken), values)
    return Finding("cache", Verdict.OK, f"{text}{', all healthy' if summaries else ''}", values=values)


def check_disk(cache: ModelCache) -> Finding:
    free = cache.free_bytes()
    values = (("free_bytes", free),)
    text = f"{size(free)} left where the cache is"
    mend = "free some space (mlxk2 rm), or move the cache with HF_HUB_CACHE"
    if free < _LITTLE_DISK:
        return Finding("disk", Verdict.FAIL if free < _NO_DISK else Verdict.WARN, text, mend, values)
    return Finding("disk", Verdict.OK, text, values=values)


def _named(broken: Sequence[ModelSummary]) -> str:
    """How many, and what is wrong with the first."""
    name, reason = printable(broken[0].name), printable(broken[0].reason or "")
    return f"{len(broken)} unhealthy, {'such as ' if len(broken) > 1 else ''}{name} ({reason})"


def _mend(broken: Sequence[ModelSummary]) -> str:
    if len(broken) > 1:
        return "see them all with: mlxk2 health"
    name = broken[0].name
    return f"mlxk2 pull {DEMO_ALIAS if name == DEMO_NAME else printable(name)} --repair"


def _count(number: int, noun: str) -> str:
    return f"{number or 'No'} {noun}{'' if number == 1 else 's'}"
