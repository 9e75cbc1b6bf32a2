"""Streams of equal length through the server, against the engine without it: tokens per second."""

from collections import defaultdict

from bench.engine.contests import Contest, Entry, Place, Report, Target
from bench.engine.models import BenchModel, both_models
from bench.engine.servers import KNIFE, OWN, knife_version
from bench.processes import CommandFailed
from bench.server.peers import ABSENT, ENGINE, LABELS, Field

_STREAMS = (1, 8, 32)
_TOKENS = 64
_TARGETS = {("30M", 32): Target(0.9, at_least=True)}


def overhead(place: Place) -> Report:
    contests = [contest for model in both_models(place.base) for contest in _contests(place, model)]
    remarks = [f"Answers of {_TOKENS} tokens, streamed."]
    if version := knife_version():
        remarks.append(
            f"mlx-knife ({version}) answers one request after the other, and ends some answers of the demo early; it"
            " was asked once."
        )
    return Report(tuple(contests), tuple(remarks))


def _contests(place: Place, model: BenchModel) -> list[Contest]:
    rates: dict[tuple[int, str], list[float]] = defaultdict(list)
    with Field(place.home, model) as field:
        for turn in range(place.rounds):
            for streams in _STREAMS:
                for label in field.labels:
                    if label == KNIFE and turn:
                        continue
                    rates[streams, label].append(_rate(field, label, streams))
    return [_contest(model.key, streams, rates) for streams in _STREAMS]


def _rate(field: Field, label: str, streams: int) -> float:
    tokens, seconds = field.volley(label, streams, _TOKENS)
    if tokens != streams * _TOKENS and label != KNIFE:
        raise CommandFailed(f"{label}: {tokens} tokens came, {streams * _TOKENS} were asked for")
    return tokens / seconds


def _contest(key: str, streams: int, rates: dict[tuple[int, str], list[float]]) -> Contest:
    entries = tuple(
        Entry(
            label,
            tuple(rates[streams, label]),
            _TARGETS.get((key, streams)) if label == OWN else None,
            ABSENT.get(label, ""),
        )
        for label in LABELS
    )
    return Contest(f"{key}, {streams} stream{'s' if streams > 1 else ''}", "tokens/s", entries, ENGINE)
