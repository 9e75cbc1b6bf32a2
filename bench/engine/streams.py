"""1, 8 and 32 streams of equal length: tokens per second, in process and over HTTP."""

import time
from collections import defaultdict
from dataclasses import asdict
from statistics import median

from bench.engine.children import Child, module
from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.exchanges import Outcome
from bench.engine.models import BenchModel, both_models
from bench.engine.prompts import Prompts
from bench.engine.requests import chat
from bench.engine.servers import OWN, PEER, STOCK, Arena, Server
from bench.engine.volleys import Volley, Volleyed
from bench.processes import CommandFailed

STREAMS = (1, 8, 32)
_WORDS = 12
_TOKENS = {"demo": 128, "30M": 64}
_STOCK_TOKENS = 16
_WARMING_TOKENS = 16
_REST = 0.2
"""Seconds before each is asked: threads of the one before may still be at work, or spin."""
_ENGINE, _BARE = "mlxk2 engine", "BatchGenerator loop"
_BARE_TARGET = Target(0.9, at_least=True)
_SERVER_TARGETS = {1: Target(1.0, at_least=True), 8: Target(1.2, at_least=True), 32: Target(1.2, at_least=True)}
_UNIT = "tokens/s"

Volleys = dict[tuple[int, str], list[Volleyed]]
"""By number of streams and label, one a round."""


def in_process(place: Place) -> Report:
    """Our engine through its port against a bare loop, in turn."""
    contests: list[Contest] = []
    remarks = [f"Answers of {_lengths()} tokens."]
    for model in both_models(place.base):
        volleys = _volleys(model, place)
        contests += [_against_bare(model, streams, volleys) for streams in STREAMS]
        remarks += [_processor_time(model, streams, volleys) for streams in STREAMS]
    return Report(tuple(contests), tuple(remarks))


def _volleys(model: BenchModel, place: Place) -> Volleys:
    prompts = Prompts()
    volleys: Volleys = defaultdict(list)
    with (
        Child(f"{_ENGINE} {model.key}", module("inprocess", str(model.folder)), place.home) as own,
        Child(f"{_BARE} {model.key}", module("bare", str(model.folder)), place.home) as bare,
    ):
        for turn in range(-1, place.rounds):  # one to warm up
            for streams in STREAMS:
                tokens = _TOKENS[model.key] if turn >= 0 else _WARMING_TOKENS
                for label, child in ((_ENGINE, own), (_BARE, bare)):
                    time.sleep(_REST)
                    volley = Volley(tuple(prompts.several(streams, _WORDS)), tokens, streams)
                    volleyed = Volleyed.parse(child.ask(asdict(volley)))
                    _check_length(label, volleyed.tokens, streams * tokens)
                    if turn >= 0:
                        volleys[streams, label].append(volleyed)
    return volleys


def _against_bare(model: BenchModel, streams: int, volleys: Volleys) -> Contest:
    entries = tuple(
        Entry(label, tuple(volley.tokens / volley.seconds for volley in volleys[streams, label]), target)
        for label, target in ((_ENGINE, _BARE_TARGET), (_BARE, None))
    )
    return Contest(_title(model, streams), _UNIT, entries, _BARE)


def _processor_time(model: BenchModel, streams: int, volleys: Volleys) -> str:
    """What a busy machine changes least."""
    times = ", ".join(
        f"{label} {median(1000 * volley.processor / volley.tokens for volley in volleys[streams, label]):.2f} ms"
        for label in (_ENGINE, _BARE)
    )
    return f"Processor time a token, {_title(model, streams)}: {times}."


def over_http(place: Place) -> Report:
    """Servers in turn; the stock peer, which is many times slower, once and briefly."""
    contests: list[Contest] = []
    remarks = [f"Answers of {_lengths()} tokens; stock once, {_STOCK_TOKENS} tokens."]
    for model in both_models(place.base):
        found, share = _against_server(model, place)
        contests += found
        remarks.append(f"The client took {share:.1%} of one core with {model.name}.")
    return Report(tuple(contests), tuple(remarks))


def _against_server(model: BenchModel, place: Place) -> tuple[list[Contest], float]:
    rates: dict[tuple[int, str], list[float]] = defaultdict(list)
    processor = seconds = 0.0
    with Arena(place.home) as arena:
        servers = [arena.start(label, model) for label in (OWN, PEER)]
        stock = arena.start(STOCK, model)
        for _ in range(place.many_rounds):
            for streams in STREAMS:
                for server in servers:
                    time.sleep(_REST)
                    outcome = _ask(arena, server, streams, _TOKENS[model.key])
                    _check_length(server.label, outcome.tokens, streams * _TOKENS[model.key])
                    rates[streams, server.label].append(outcome.tokens / outcome.seconds)
                    processor, seconds = processor + outcome.processor, seconds + outcome.seconds
        for streams in STREAMS:
            outcome = _ask(arena, stock, streams, _STOCK_TOKENS)
            rates[streams, STOCK].append(outcome.tokens / outcome.seconds)
    contests = [_contest(model, streams, rates) for streams in STREAMS]
    return contests, processor / seconds


def _ask(arena: Arena, server: Server, streams: int, tokens: int) -> Outcome:
    bodies = [chat(prompt, tokens) for prompt in arena.prompts.several(streams, _WORDS)]
    return arena.ask(server, server.errand(bodies, streams))


def _contest(model: BenchModel, streams: int, rates: dict[tuple[int, str], list[float]]) -> Contest:
    entries = [
        Entry(label, tuple(rates[streams, label]), _SERVER_TARGETS[streams] if label == OWN else None)
        for label in (OWN, PEER, STOCK)
    ]
    return Contest(_title(model, streams), _UNIT, tuple(entries), PEER)


def _check_length(label: str, tokens: int, wanted: int) -> None:
    """Answers of another length would not compare."""
    if tokens != wanted:
        raise CommandFailed(f"{label}: {tokens} tokens came, {wanted} were asked for")


def _title(model: BenchModel, streams: int) -> str:
    return f"{model.key}, {streams} stream{'s' if streams > 1 else ''}"


def _lengths() -> str:
    return " and ".join(f"{count} ({key})" for key, count in _TOKENS.items())
