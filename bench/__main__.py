"""`python -m bench [NAME ...]`: run the benchmarks, print a table each, and write docs/benchmarks.md.

`engine`, `serve` and `terminal` stand for all of the engine's, the server's and the terminal's; `serve-soak` is run
only when it is named. A part of the document is written when all of that part ran.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bench.engine.contests as engine
import bench.engine.report as engine_report
from bench.benchmarks import BENCHMARKS, Benchmark, Place, Unavailable
from bench.document import write_commands, write_group
from bench.engine.suite import ENGINE
from bench.machine import describe
from bench.processes import CommandFailed
from bench.report import Result, as_markdown, as_text
from bench.server.suite import SERVER, SOAK
from bench.terminal.suite import TERMINAL

Facts = list[tuple[str, str]]
_GROUPS = (ENGINE, SERVER, TERMINAL, SOAK)
_TITLES = tuple(group.title for group in _GROUPS)


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    if unknown := set(args.names) - {*_names()}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    commands = [benchmark for benchmark in BENCHMARKS if not args.names or benchmark.name in args.names]
    facts = describe()
    args.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        failures = _run_commands(commands, Place(args.cache_dir, Path(home), args.runs), facts)
        place = engine.Place(args.cache_dir, Path(home), (args.runs + 1) // 2, args.minutes)
        failures += sum(_run_group(group, _chosen(group, args.names), place, facts) for group in _GROUPS)
    return 1 if failures else 0


def _chosen(group: engine.Group, names: Sequence[str]) -> list[engine.Section]:
    if not names:
        return [] if group.on_demand else list(group.sections)
    return [section for section in group.sections if {group.name, section.name}.intersection(names)]


def _run_commands(chosen: Sequence[Benchmark], place: Place, facts: Facts) -> int:
    """How many could not be measured."""
    results: list[Result] = []
    for benchmark in chosen:
        try:
            results.append((benchmark, benchmark.run(place)))
        except (CommandFailed, Unavailable) as error:
            print(f"{benchmark.name}: {error}", file=sys.stderr)
        else:
            print(as_text(results[-1]), end="\n\n", flush=True)
    if len(results) == len(BENCHMARKS):
        print(f"written: {write_commands(as_markdown(results, facts, place.runs), _TITLES)}")
    return len(chosen) - len(results)


def _run_group(group: engine.Group, chosen: Sequence[engine.Section], place: engine.Place, facts: Facts) -> int:
    """How many could not be measured."""
    results: list[engine_report.Result] = []
    for section in chosen:
        try:
            results.append((section, section.run(place)))
        except CommandFailed as error:
            print(f"{section.name}: {error}", file=sys.stderr)
        else:
            print(engine_report.as_text(results[-1]), end="\n\n", flush=True)
    if len(results) == len(group.sections):
        text = engine_report.as_markdown(group, results, facts, place.rounds)
        print(f"written: {write_group(group.title, text, _TITLES)}")
    return len(chosen) - len(results)


def _names() -> list[str]:
    groups = [group.name for group in _GROUPS]
    return [*groups, *(item.name for item in BENCHMARKS), *(part.name for group in _GROUPS for part in group.sections)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(_names())}")
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        metavar="N",
        help="runs that count, after the warm-up (default: 5); of engine and server half as many rounds",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="N", help="how long serve-soak runs (default: 60)"
    )
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=Path(tempfile.gettempdir()) / "mlxk2-bench",
        metavar="DIR",
        help="where the models of the benchmarks are kept between runs (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
