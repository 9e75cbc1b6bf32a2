"""What one client waits for at a server that does nothing else: a first token, and a whole answer of one token.

The engine's own time begins when a prompt of token ids is handed to it. So the template, the tokenizer, HTTP and the
way to the worker's process are the server's. Every request has a connection of its own. The order is drawn anew for
every turn: whoever is asked finds the processor as the one before has left it.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from statistics import median

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.models import BenchModel, both_models
from bench.engine.servers import OWN
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
    contests = tuple(_contest(model, place, wait, target) for model in both_models(place.base))
    return Report(
        contests,
        (f"{_REQUESTS} requests each in a round, in turns of drawn order; the round's value is their median.",),
    )


def _contest(model: BenchModel, place: Place, wait: Callable[[Field, str], float], target: Target) -> Contest:
    rounds: dict[str, list[float]] = defaultdict(list)
    draw = random.Random(1)  # noqa: S311 - an order of requests
    with Field(place.home, model) as field:
        for _ in range(place.rounds):
            waits: dict[str, list[float]] = defaultdict(list)
            for _ in range(_REQUESTS):
                for label in draw.sample(field.labels, len(field.labels)):
                    waits[label].append(1000 * wait(field, label))
            for label, times in waits.items():
                rounds[label].append(median(times))
    entries = tuple(
        Entry(label, tuple(rounds[label]), target if label == OWN else None, ABSENT.get(label, "")) for label in LABELS
    )
    return Contest(model.key, "ms", entries, ENGINE, differences=True)
