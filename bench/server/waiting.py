"""What one client waits for at a server that does nothing else: a first token, and a whole answer of one token.

The engine's own time begins when a prompt of token ids is handed to it. So the template, the tokenizer, HTTP and the
way to the worker's process are the server's. Every request has a connection of its own. The order is drawn anew for
every turn: whoever is asked finds the processor as the one before has left it. So does a server that has its answer
ready: what it takes after a pause is the least that HTTP costs here.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from statistics import median

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.models import BenchModel, both_models
from bench.engine.servers import HELLO, OWN
from bench.server.peers import ABSENT, ENGINE, LABELS, Field

_REQUESTS = 20
_STREAMED_TOKENS = 8
_FIRST_TOKEN, _WHOLE_REQUEST = Target(5.0, at_least=False), Target(3.0, at_least=False)


def first_token(place: Place) -> Report:
    def wait(field: Field, label: str) -> float:
        return field.one(label, _STREAMED_TOKENS, stream=True).first

    return _report(place, wait, _FIRST_TOKEN)


def whole_request(place: Place) -> Report:
    def wait(field: Field, label: str) -> float:
        return field.one(label, 1, stream=False).total

    return _report(place, wait, _WHOLE_REQUEST)


def _report(place: Place, wait: Callable[[Field, str], float], target: Target) -> Report:
    waits = {model.key: _waits(model, place, wait) for model in both_models(place.base)}
    counted = f"{_REQUESTS} requests each in a round, in turns of drawn order; the round's value is their median."
    least = ", ".join(f"{median(rounds[HELLO]):.1f} ms beside the {key}" for key, rounds in waits.items())
    remark = f"{HELLO.capitalize()}, with the answer ready: {least}. So much of `mlxk2 serve`'s time is HTTP itself."
    return Report(tuple(_contest(key, rounds, target) for key, rounds in waits.items()), (counted, remark))


def _waits(model: BenchModel, place: Place, wait: Callable[[Field, str], float]) -> dict[str, list[float]]:
    """Milliseconds: each round's median, of everyone."""
    rounds: dict[str, list[float]] = defaultdict(list)
    draw = random.Random(1)  # noqa: S311 - an order of requests
    with Field(place.home, model, [HELLO]) as field:
        for _ in range(place.rounds):
            waits: dict[str, list[float]] = defaultdict(list)
            for _ in range(_REQUESTS):
                for label in draw.sample(field.labels, len(field.labels)):
                    waits[label].append(1000 * wait(field, label))
            for label, times in waits.items():
                rounds[label].append(median(times))
    return rounds


def _contest(key: str, rounds: dict[str, list[float]], target: Target) -> Contest:
    entries = tuple(
        Entry(label, tuple(rounds.get(label, ())), target if label == OWN else None, ABSENT.get(label, ""))
        for label in LABELS
    )
    return Contest(key, "ms", entries, ENGINE, differences=True)
