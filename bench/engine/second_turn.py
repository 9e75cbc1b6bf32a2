"""The second turn of a chat whose first message is 4,000 tokens long: how soon its first token comes."""

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.exchanges import Answer
from bench.engine.models import random_model
from bench.engine.requests import conversation
from bench.engine.servers import OWN, PEER, Arena, Server

_PREFIX_WORDS = 2_100
_TOKENS = 8
_TARGET = Target(0.1, at_least=False)
_COLD, _WARM = "first turn", "second turn"


def second_turn(place: Place) -> Report:
    model = random_model(place.base)
    turns: dict[str, list[tuple[Answer, Answer]]] = {}
    with Arena(place.home) as arena:
        servers = [arena.start(label, model) for label in (OWN, PEER)]
        for _ in range(place.rounds):
            for server in servers:
                turns.setdefault(server.label, []).append(_chat(arena, server))
    contests = [_contest(label, rounds) for label, rounds in turns.items()]
    remarks = [
        f"{label}: {warm.prompt_tokens:,} tokens in the second turn, {warm.cached_tokens:,} of them from the cache."
        for label, rounds in turns.items()
        for _, warm in rounds[-1:]
    ]
    return Report(tuple(contests), tuple(remarks))


def _chat(arena: Arena, server: Server) -> tuple[Answer, Answer]:
    messages = [{"role": "user", "content": arena.prompts.take(_PREFIX_WORDS)}]
    first = arena.ask(server, server.errand([conversation(messages, _TOKENS)]))
    messages += [
        {"role": "assistant", "content": arena.prompts.take(_TOKENS)},
        {"role": "user", "content": arena.prompts.take(_TOKENS)},
    ]
    second = arena.ask(server, server.errand([conversation(messages, _TOKENS)]))
    return first.answers[0], second.answers[0]


def _contest(label: str, rounds: list[tuple[Answer, Answer]]) -> Contest:
    entries = (
        Entry(_COLD, tuple(1000 * cold.first for cold, _ in rounds)),
        Entry(_WARM, tuple(1000 * warm.first for _, warm in rounds), None if label == PEER else _TARGET),
    )
    return Contest(label, "ms", entries, _COLD)
