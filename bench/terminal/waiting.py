"""The first token of `run` attached to a running server, and `ps`: whole processes, from start to end."""

import sys
from statistics import median

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.processes import Contestant, measure, program
from bench.terminal.setting import QUESTION, serving

_SERVER, _ATTACHED = "the server, over HTTP", "mlxk2 run, attached"
_PYTHON, _PS = "python -c pass", "mlxk2 ps"
_TIMES = 10
_BEYOND_MS, _PS_MS = 100.0, 120.0


def attached(place: Place) -> Report:
    """Both are asked the same question in turn."""
    values: dict[str, list[float]] = {_SERVER: [], _ATTACHED: []}
    with serving(place) as setting:
        run = Contestant(_ATTACHED, (program("mlxk2"), "run", "demo", QUESTION), setting.environ)
        measure(run, place.home)
        for _ in range(place.rounds):
            pairs = [(setting.first_token(), measure(run, place.home).first) for _ in range(_TIMES)]
            values[_SERVER].append(1000 * median(server for server, _ in pairs))
            values[_ATTACHED].append(1000 * median(first for _, first in pairs))
    entries = (
        Entry(_SERVER, tuple(values[_SERVER])),
        Entry(_ATTACHED, tuple(values[_ATTACHED]), Target(_BEYOND_MS, at_least=False)),
    )
    contest = Contest("first text of an answer", "ms", entries, _SERVER, differences=True)
    return Report(
        (contest,), (f"{_TIMES} questions each in a round, in turn; the start of the process is part of it.",)
    )


def ps(place: Place) -> Report:
    values: dict[str, list[float]] = {_PYTHON: [], _PS: []}
    with serving(place) as setting:
        peers = (
            Contestant(_PYTHON, (sys.executable, "-c", "pass"), setting.environ),
            Contestant(_PS, (program("mlxk2"), "ps"), setting.environ),
        )
        for peer in peers:
            measure(peer, place.home)
        for _ in range(place.rounds):
            turns = [[measure(peer, place.home).total for peer in peers] for _ in range(_TIMES)]
            for peer, times in zip(peers, zip(*turns, strict=True), strict=True):
                values[peer.label].append(1000 * median(times))
    entries = tuple(Entry(label, tuple(times)) for label, times in values.items())
    contest = Contest("one server, one model", "ms", entries, _PYTHON, differences=True)
    return Report((contest,), (verdict(values[_PS], _PS_MS),))


def verdict(values: list[float], limit: float) -> str:
    """A target that is a time of its own."""
    reached = median(values)
    return f"{reached:.0f} ms, at most {limit:.0f} ms wanted: {'met' if reached <= limit else 'missed'}."
