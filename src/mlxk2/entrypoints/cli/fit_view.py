"""What `fit` has found, as the record that scripts read and the words that people read."""

import re
from textwrap import wrap

from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME, printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.fit_model import Memory, ModelFit, Place
from mlxk2.entrypoints.cli.model_view import SHORT_HASH
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.fitting import FitData, MemoryObject

_PLACES = {Place.CACHE: "in the cache", Place.HUB: "on the Hub", Place.PACKAGE: "ships with this program"}
_MAKE = re.compile(r"[-_.](\d+(\.\d+)?-?bits?|bf16|fp16|fp8|(mx|nv)fp\d|q\d\w*|gguf|mlx|awq|gptq|dwq)$", re.IGNORECASE)
"""What the end of a name says of how its weights are stored."""


def runs_here(found: ModelFit) -> bool:
    """Whether nothing is known that speaks against it."""
    return found.cannot_run is None and found.fit.fits is not False


def data(found: ModelFit) -> FitData:
    needs, memory, fit = found.needs, found.memory, found.fit
    return FitData(
        model=found.name,
        hash=found.commit,
        source=found.place.value,
        context_length=needs.context_length,
        context=fit.context,
        weights_bytes=needs.weights,
        kv_bytes=fit.kv,
        needed_bytes=fit.needed,
        memory=MemoryObject(memory.total, memory.available, memory.plan.ceiling, memory.plan.grant),
        largest_context=fit.largest,
        fits=fit.fits,
        runtime_compatible=found.cannot_run is None,
        reason=found.cannot_run,
        message=verdict(found),
        next_step=next_step(found),
    )


def show(found: ModelFit, out: Output) -> None:
    """What is known, one line each, then the verdict; folded into the terminal's width."""
    style = "good" if runs_here(found) else "bad"
    rows = _rows(found)
    wide = max(len(label) for label, _ in rows) + 2
    for label, text in rows:
        parts = [text] if out.width is None else wrap(text, max(out.width - wide, 20), break_on_hyphens=False)
        for head, part in zip([f"{label}:", *[""] * len(parts)], parts, strict=False):
            out.result(f"{head:<{wide}}{out.styled(part, style) if label == 'Verdict' else part}")


def _rows(found: ModelFit) -> list[tuple[str, str]]:
    weights, needed = found.needs.weights, found.fit.needed
    return [
        ("Model", f"{printable(found.name)} ({found.commit[:SHORT_HASH]}), {_PLACES[found.place]}"),
        ("Weights", "none that mlx-lm could load" if weights is None else size(weights)),
        ("Context", _context(found)),
        *([] if needed is None else [("Needed", f"{size(needed)}, with room to compute")]),
        ("Memory", _memory(found.memory)),
        ("Verdict", verdict(found)),
        ("Next", next_step(found)),
    ]


def verdict(found: ModelFit) -> str:
    """One sentence."""
    fit = found.fit
    if found.cannot_run is not None:
        return f"It cannot run here: {printable(found.cannot_run)}"
    if fit.fits is None:
        return "Nobody can tell: this system does not say how much memory it has"
    if fit.fits:
        return _fitting(found)
    return _too_large(found)


def next_step(found: ModelFit) -> str:
    """What to do, most often a command."""
    if found.cannot_run is not None:
        if "model_file" in found.cannot_run:
            return "only if you trust its author, mlxk2 run with --trust-remote-code"
        return f"find one that can: {_search(found.name)}"
    if found.fit.fits is False:
        return _make_it_fit(found)
    if found.place is Place.CACHE and found.unhealthy is None:
        return f"mlxk2 run {_reference(found)}"
    return f"mlxk2 pull {_reference(found)}{' --repair' if found.place is Place.CACHE else ''}"


def _fitting(found: ModelFit) -> str:
    fit, own = found.fit, found.needs.context_length
    if fit.kv is None:
        return "Its weights fit; what a context takes is known only once it is loaded"
    if fit.largest is not None and fit.largest < fit.context:
        return f"It fits, with a context of up to {fit.largest:,} of its {fit.context:,} tokens"
    if fit.context == own:
        return f"It fits, with its whole context of {fit.context:,} tokens"
    return f"It fits, with a context of {fit.context:,} tokens"


def _too_large(found: ModelFit) -> str:
    plan, fit = found.memory.plan, found.fit
    has = f"this machine has {size(plan.grant or 0)} for it"
    if not fit.largest:
        return f"It does not fit: its weights are too large, {has}"
    return f"It does not fit with a context of {fit.context:,} tokens: {has}, enough for {fit.largest:,} tokens"


def _make_it_fit(found: ModelFit) -> str:
    plan, fit = found.memory.plan, found.fit
    steps = []
    if fit.needed is not None and (plan.ceiling is None or fit.needed <= plan.ceiling):
        steps.append("close other programs")
    if fit.largest:
        steps.append(f"ask for less: --context {fit.largest}")
    return ", or ".join([*steps, f"take a smaller one: {_search(found.name)}"])


def _context(found: ModelFit) -> str:
    fit, own = found.fit, found.needs.context_length
    which = f"{fit.context:,} tokens"
    if own is None:
        which += " (config.json names no limit)"
    elif own != fit.context:
        which += f" of {own:,}"
    return which + (": not known before it is loaded" if fit.kv is None else f": {size(fit.kv)} of keys and values")


def _memory(memory: Memory) -> str:
    if memory.total is None:
        return "not told by this system"
    free = "" if memory.available is None else f"{size(memory.available)} free of "
    most = "" if memory.plan.ceiling is None else f"; a model may take {size(memory.plan.ceiling)}"
    return f"{free}{size(memory.total)}{most}"


def _reference(found: ModelFit) -> str:
    if found.name == DEMO_NAME:
        return DEMO_ALIAS
    return f"{printable(found.name)}{f'@{found.commit[:12]}' if found.pinned else ''}"


def _search(name: str) -> str:
    """The command that finds the same model stored in other ways."""
    words = name.rpartition("/")[2]
    while (shorter := _MAKE.sub("", words)) != words:
        words = shorter
    return f"mlxk2 search {printable(words.replace('-', ' '))}"
