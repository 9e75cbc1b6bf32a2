"""Ten thousand requests in a row: what the process takes of memory at the end."""

import time
from dataclasses import asdict

from bench.engine.children import Child, module
from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.memory import resident
from bench.engine.models import demo_model
from bench.engine.prompts import Prompts
from bench.engine.volleys import Volley, Volleyed

_THOUSANDS, _THOUSAND = 10, 1_000
_WORDS, _TOKENS, _AT_ONCE = 4, 4, 16
_CACHE = 64 * 1024 * 1024
_REST = 1.0
"""Seconds after which an engine that nobody asks anything has given back what it keeps for the next step."""
_TARGET = Target(1.05, at_least=False)


def endurance(place: Place) -> Report:
    model = demo_model(place.base)
    prompts = Prompts()
    memory: list[float] = []
    seconds = 0.0
    argv = module("inprocess", str(model.folder), "--prefix-cache-bytes", str(_CACHE))
    with Child("engine endurance", argv, place.home) as engine:
        for _ in range(_THOUSANDS):
            volley = Volley(tuple(prompts.several(_THOUSAND, _WORDS)), _TOKENS, _AT_ONCE)
            seconds += Volleyed.parse(engine.ask(asdict(volley))).seconds
            time.sleep(_REST)
            memory.append(resident(engine.pid))
    first, last = f"after {_THOUSAND:,}", f"after {_THOUSANDS * _THOUSAND:,}"
    entries = (Entry(first, (memory[0],)), Entry(last, (memory[-1],), _TARGET))
    course = ", ".join(f"{megabytes:.0f}" for megabytes in memory)
    remarks = (
        f"{_AT_ONCE} at once, {_TOKENS} tokens each, prefix cache of {_CACHE // 2**20} MiB, in {seconds:.0f} s.",
        f"Resident memory a second after each thousand, at rest: {course} MB.",
    )
    return Report((Contest("the demo model", "MB", entries, first),), remarks)
