"""The first token of a short request that arrives while 31 others decode."""

import random
from collections import defaultdict

from bench.engine.contests import Contest, Entry, Place, Report, Target, percentile
from bench.engine.exchanges import Errand
from bench.engine.models import BenchModel, both_models
from bench.engine.requests import chat
from bench.engine.servers import OWN, PEER, Arena, Server

_OTHERS, _PROBES, _WORDS, _TOKENS = 31, 20, 8, 2
_TARGET = Target(0.5, at_least=False)
_SPARE = 60


def newcomer(place: Place) -> Report:
    contests = tuple(contest for model in both_models(place.base) for contest in _race(model, place))
    return Report(contests, (f"{_PROBES} newcomers a round, one after the other.",))


def _race(model: BenchModel, place: Place) -> list[Contest]:
    waits: dict[str, list[list[float]]] = defaultdict(list)
    with Arena(place.home) as arena:
        servers = [arena.start(label, model) for label in (OWN, PEER)]
        for turn in range(place.long_rounds):
            for server in servers:
                outcome = arena.ask(server, _errand(arena, server, turn))
                waits[server.label].append([answer.first for answer in outcome.answers])
    return [
        Contest(
            f"{model.key}, {name}",
            "ms",
            tuple(
                Entry(
                    label,
                    tuple(1000 * percentile(round_, share) for round_ in rounds),
                    _TARGET if share > 0.9 and label != PEER else None,
                )
                for label, rounds in waits.items()
            ),
            PEER,
        )
        for name, share in (("p95", 0.95), ("median", 0.5))
    ]


def _errand(arena: Arena, server: Server, seed: int) -> Errand:
    """The others' answers have different lengths, so that they do not all end at once."""
    draw = random.Random(seed)  # noqa: S311 - moments of arrival
    others = [chat(arena.prompts.take(_WORDS), draw.randint(200, 900)) for _ in range(_OTHERS + _SPARE)]
    newcomers = [chat(arena.prompts.take(_WORDS), _TOKENS) for _ in range(_PROBES)]
    gaps = [draw.uniform(0.05, 0.3) for _ in range(_PROBES)]
    return server.errand(newcomers, _OTHERS, others, gaps)
