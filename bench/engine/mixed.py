"""A mixed load, 32 at once: seeds, schemas, log-probabilities, temperatures; requests completed a minute.

Every answer runs to its token limit, also the schema-bound ones, whose shortest value is longer: all servers make the
same number of tokens. `mlx_lm.server` is sent `response_format` too and ignores it.
"""

import random
from collections import defaultdict

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.exchanges import Outcome
from bench.engine.models import BenchModel, both_models
from bench.engine.prompts import Prompts
from bench.engine.requests import Body, chat
from bench.engine.servers import OWN, PEER, Arena

REQUESTS = 64
"""In a round."""
_AT_ONCE, _TOKENS = 32, 48
_TARGET = Target(3.0, at_least=True)
_LONG_LIST = {"type": "array", "items": {"type": "integer"}, "minItems": 60, "maxItems": 80}
_SCHEMA = {"type": "object", "properties": {"numbers": _LONG_LIST}, "required": ["numbers"]}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": _SCHEMA, "strict": True}}

Options = dict[str, object]


def mixed_load(place: Place) -> Report:
    races = [_race(model, place) for model in both_models(place.base)]
    remark = (
        f"{REQUESTS} requests a round, {_TOKENS} tokens each: a quarter seeded, a quarter bound to a JSON schema, a"
        " quarter with five log-probabilities a token (not streamed), a quarter with other temperatures and filters."
    )
    return Report(tuple(contest for contest, _ in races), (remark, *(lengths for _, lengths in races)))


def _race(model: BenchModel, place: Place) -> tuple[Contest, str]:
    """The contest, and how long the answers were of each."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    with Arena(place.home) as arena:
        servers = [arena.start(label, model) for label in (OWN, PEER)]
        for turn in range(place.long_rounds):
            for server in servers:
                errand = server.errand(mixed_bodies(arena.prompts, turn), _AT_ONCE)
                outcomes[server.label].append(arena.ask(server, errand))
    entries = [
        Entry(
            label,
            tuple(60 * len(outcome.answers) / outcome.seconds for outcome in rounds),
            None if label == PEER else _TARGET,
        )
        for label, rounds in outcomes.items()
    ]
    lengths = ", ".join(
        f"{label} {sum(outcome.tokens for outcome in rounds) / len(rounds) / REQUESTS:.1f}"
        for label, rounds in outcomes.items()
    )
    contest = Contest(f"{model.key}, {_AT_ONCE} at once", "requests/min", tuple(entries), PEER)
    return contest, f"Tokens an answer, {model.key}: {lengths}."


def mixed_bodies(prompts: Prompts, seed: int) -> list[Body]:
    """The same mixture for everyone in a round, in an order drawn from `seed`."""
    draw = random.Random(seed)  # noqa: S311 - an order of requests
    options: list[Options] = []
    for number in range(REQUESTS // 4):
        options += [
            {"seed": number, "temperature": 0.8, "top_p": 0.95},
            {"response_format": _FORMAT, "temperature": 0.7},
            {"logprobs": True, "top_logprobs": 5, "stream": False},
            {"temperature": 0.3 + number / 20, "top_k": 40, "min_p": 0.02},
        ]
    draw.shuffle(options)
    return [chat(prompts.take(draw.randint(6, 40)), _TOKENS, **chosen) for chosen in options]
