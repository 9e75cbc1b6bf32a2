"""Sixteen streams for a long time: what the server and its worker take of memory, and whether that grows.

Memory is read at rest, a second after the last answer: what a request in flight holds says nothing of what stays.
"""

import time
from dataclasses import dataclass
from statistics import median

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.memory import resident, resident_children
from bench.engine.mixed import REQUESTS, mixed_bodies
from bench.engine.models import demo_model
from bench.engine.servers import OWN, Arena, Server

_STREAMS = 16
_BATCHES = 8
"""Rounds of requests between two looks at the memory."""
_REST = 1.0
_CACHE = "64MiB"
"""The prefix cache's bound, reached while it warms up; what it holds would look like growth otherwise."""
_TARGET = Target(1.05, at_least=False)
_SHOWN = 12
"""Moments of the course that the report names."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Minutes since the beginning, requests answered until then, megabytes."""

    minutes: float
    requests: int
    server: float
    worker: float


def soak(place: Place) -> Report:
    """The second quarter of the time is held against the last; the first is for warming up."""
    with Arena(place.home) as arena:
        server = arena.start(OWN, demo_model(place.base), "--prefix-cache", _CACHE)
        looks = _watch(arena, server, place.minutes)
    last = looks[-1]
    load = (
        f"{_STREAMS} at once, {last.requests:,} requests in {last.minutes:.0f} minutes, mixed as in the mixed load;"
        f" every prompt is new, the prefix cache bound to {_CACHE}."
    )
    remarks = (load, f"Resident memory at rest, minute: server + worker in MB. {_course(looks)}.")
    parts = (("server", [look.server for look in looks]), ("worker", [look.worker for look in looks]))
    return Report(tuple(_contest(name, sizes) for name, sizes in parts), remarks)


def _watch(arena: Arena, server: Server, minutes: float) -> list[_Look]:
    began = time.monotonic()
    looks: list[_Look] = []
    batches = 0
    while not looks or looks[-1].minutes < minutes:
        for _ in range(_BATCHES):
            arena.ask(server, server.errand(mixed_bodies(arena.prompts, batches), _STREAMS))
            batches += 1
        time.sleep(_REST)
        pid = server.child.pid
        spent = (time.monotonic() - began) / 60
        looks.append(_Look(spent, batches * REQUESTS, resident(pid), resident_children(pid)))
    return looks


def _contest(name: str, sizes: list[float]) -> Contest:
    early, late = sizes[len(sizes) // 4 : max(len(sizes) // 2, 1)], sizes[-(len(sizes) // 4 or 1) :]
    entries = (
        Entry("second quarter", (median(early),)),
        Entry("last quarter", (median(late),), _TARGET),
    )
    return Contest(name, "MB", entries, "second quarter")


def _course(looks: list[_Look]) -> str:
    shown = looks[:: max(len(looks) // _SHOWN, 1)]
    return ", ".join(f"{look.minutes:.0f}: {look.server:.0f} + {look.worker:.0f}" for look in shown)
