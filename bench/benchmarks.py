"""The benchmarks: what is run beside what, after which check."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import bench.care.verify as verifying
from bench.checks import check_list, check_peer
from bench.fixtures import ONE, REALISTIC_1000, SMALL_1000, SMALL_10000, Fixture, cache_of
from bench.processes import Contestant, Series, has_program, measure, program, race
from bench.pulling import NAME, model_folder, served

QUESTION = "How do I list my models?"
_MOST_TOKENS = "200"
_QUICK = "with the index at most three times a bare walk"
_WALK = "os.scandir walk"
_WALKING = """
import os, sys
waiting = [sys.argv[1]]
while waiting:
    with os.scandir(waiting.pop()) as entries:
        waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, and how often everything is repeated."""

    base: Path
    home: Path
    runs: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured; ratios are taken to the series labelled `reference`, `remarks` go into the report."""

    series: tuple[Series, ...]
    reference: str
    streaming: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`target` is what the project wants to reach, in words; it is reported and never asserted."""

    name: str
    title: str
    target: str
    run: Callable[[Place], Outcome]


class Unavailable(Exception):
    """A benchmark cannot run here; the message says what is missing."""


def _version(place: Place) -> Outcome:
    python = "python -c pass"
    peers = [
        Contestant(python, (sys.executable, "-c", "pass")),
        Contestant("mlxk2 --version", (program("mlxk2"), "--version")),
        Contestant("python -m mlxk2 --version", (sys.executable, "-m", "mlxk2", "--version")),
        *_if_installed(Contestant("hf version", (program("hf"), "version"))),
    ]
    return Outcome(tuple(race(peers, place.home, place.runs)), python)


def _list(fixture: Fixture) -> Callable[[Place], Outcome]:
    def run(place: Place) -> Outcome:
        cache = cache_of(fixture, place.base)
        check_list(cache, place.home, fixture.models)
        memory = place.home / "memory"
        environ = {"HF_HUB_CACHE": str(cache), "XDG_CACHE_HOME": str(memory)}
        rivals = _if_installed(Contestant("hf cache ls", (program("hf"), "cache", "ls"), environ))
        for rival in rivals:
            quiet = Contestant(rival.label, (*rival.argv, "--quiet"), environ)
            check_peer(measure(quiet, place.home).output, fixture.models)
        own = (program("mlxk2"), "list")
        first = [Contestant("mlxk2 list, without its index", own, environ, fresh=memory)]
        walk = Contestant(_WALK, (sys.executable, "-c", _WALKING, str(cache)))
        peers = [
            *(first if fixture.models > 1 else ()),
            Contestant("mlxk2 list", own, environ),
            Contestant("mlxk2 list --json", (*own, "--json"), environ),
            *rivals,
            walk,
        ]
        series = tuple(race(peers, place.home, place.runs))
        return Outcome(series, rivals[0].label if rivals else walk.label, remarks=_beside_the_walk(series))

    return run


def _beside_the_walk(series: tuple[Series, ...]) -> tuple[str, ...]:
    """What cannot be seen in a table whose reference is another: turn by turn against the walk, and the memory."""
    walk = next(one for one in series if one.contestant.label == _WALK)
    ratios, peaks = [], []
    for one in series:
        turns = zip(one.timings, walk.timings, strict=True)
        ratio = median(mine.total / theirs.total for mine, theirs in turns)
        if one is not walk:
            ratios.append(f"{one.contestant.label} {ratio:.2f}×")
            peaks.append(f"{one.contestant.label} {max(timing.peak for timing in one.timings) / 1e6:.0f} MB")
    return f"Against the walk: {', '.join(ratios)}.", f"Peak memory, at most: {', '.join(peaks)}."


def _run(place: Place) -> Outcome:
    if not has_program("mlx_lm.generate"):
        raise Unavailable("mlx_lm.generate is not installed")
    cache = place.base / "demo"
    environ = {"HF_HUB_CACHE": str(cache), "PYTHONUNBUFFERED": "1"}
    measure(Contestant("mlxk2 pull demo", (program("mlxk2"), "pull", "demo"), environ), place.home)
    model = cache / "models--mlxk2--demo"
    snapshot = model / "snapshots" / (model / "refs" / "main").read_text()
    rival = "mlx_lm.generate"
    plain = ("--chat-template-config", '{"enable_thinking": false}', "--max-tokens", _MOST_TOKENS)
    rival_argv = (program(rival), "--model", str(snapshot), "--prompt", QUESTION, *plain)
    own_argv = (program("mlxk2"), "run", "demo", QUESTION, "--max-tokens", _MOST_TOKENS)
    peers = [
        Contestant("mlxk2 run", own_argv, environ),
        Contestant(rival, rival_argv, environ, marker=b"==========\n"),
    ]
    series = race(peers, place.home, place.runs)
    own_answer = series[0].timings[-1].output.decode(errors="replace").strip()
    rival_answer = series[1].timings[-1].output.decode(errors="replace").split("==========")[1].strip()
    remark = (
        "Both answers are the same"
        if own_answer == rival_answer
        else "The answers differ, so the totals do not compare"
    )
    return Outcome(tuple(series), rival, streaming=True, remarks=(f"{remark}: {QUESTION!r} gave {own_answer!r}.",))


def _pull(place: Place) -> Outcome:
    if not has_program("hf"):
        raise Unavailable("hf is not installed")
    caches = {name: place.base / f"pulled-by-{name}" for name in ("mlxk2", "hf")}
    with served(model_folder(place.base)) as endpoint:
        environ = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        own, rival = "mlxk2 pull, verified", "hf download, not verified"
        peers = [
            Contestant(
                own,
                (program("mlxk2"), "pull", NAME),
                {**environ, "HF_HUB_CACHE": str(caches["mlxk2"])},
                fresh=caches["mlxk2"],
            ),
            Contestant(
                rival,
                (program("hf"), "download", NAME),
                {**environ, "HF_HUB_CACHE": str(caches["hf"])},
                fresh=caches["hf"],
            ),
        ]
        series = race(peers, place.home, place.runs)
        check_list(caches["mlxk2"], place.home, 1)
    for cache in caches.values():
        shutil.rmtree(cache, ignore_errors=True)
    peaks = ", ".join(
        f"{one.contestant.label}: {max(timing.peak for timing in one.timings) / 1e6:.0f} MB" for one in series
    )
    return Outcome(tuple(series), rival, remarks=(f"Peak memory: {peaks}.",))


def _verify(place: Place) -> Outcome:
    with verifying.contestants(place.base, place.home) as peers:
        series = race(peers, place.home, place.runs)
    amount = verifying.cores() * 4 * verifying.FLOATS
    speeds = ", ".join(
        f"{one.contestant.label}: {amount / 1e9 / median(timing.total for timing in one.timings):.1f} GB/s"
        for one in series
    )
    return Outcome(tuple(series), verifying.THREADS, remarks=(f"{verifying.cores()} files of 2 GB. {speeds}.",))


def _if_installed(peer: Contestant) -> list[Contestant]:
    return [peer] if Path(peer.argv[0]).exists() else []


BENCHMARKS = (
    Benchmark("version", "`mlxk2 --version`", "within 15 ms of `python -c pass`", _version),
    Benchmark("list-one", "`mlxk2 list`, 1 model", "at most 150 ms", _list(ONE)),
    Benchmark(
        "list-small",
        "`mlxk2 list`, 1,000 small models",
        f"at most 500 ms; {_QUICK}",
        _list(SMALL_1000),
    ),
    Benchmark(
        "list-large",
        "`mlxk2 list`, 10,000 small models",
        f"faster than `hf cache ls`; {_QUICK}; at most 150 MB",
        _list(SMALL_10000),
    ),
    Benchmark(
        "list-realistic",
        "`mlxk2 list`, 1,000 models of realistic size",
        f"at most 1.5 s; {_QUICK}",
        _list(REALISTIC_1000),
    ),
    Benchmark(
        "pull",
        "`mlxk2 pull`, 2 GB from the loopback Hub",
        "at most 1.3 times `hf download`, which does not verify; below 200 MB of memory",
        _pull,
    ),
    Benchmark(
        "verify",
        "`mlxk2 health --deep`, a file of 2 GB a core, all of it read",
        "at least 0.9 times the speed of as many threads that only hash, and twice that of `hf cache verify`",
        _verify,
    ),
    Benchmark("run", "`mlxk2 run demo`", "not slower than `mlx_lm.generate`", _run),
)
