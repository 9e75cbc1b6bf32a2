"""`python -m bench [NAME ...]`: run the benchmarks, print a table each, and write docs/benchmarks.md.

`engine` stands for all of the engine's. The document's part on commands, or on the engine, is written when all of that
part ran.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bench.engine.contests as engine
import bench.engine.report as engine_report
from bench.benchmarks import BENCHMARKS, Benchmark, Place, Unavailable
from bench.document import write_commands, write_engine
from bench.engine.suite import GROUP, SECTIONS
from bench.machine import describe
from bench.processes import CommandFailed
from bench.report import Result, as_markdown, as_text

Facts = list[tuple[str, str]]


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    if unknown := set(args.names) - {GROUP, *_names()}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    commands = [benchmark for benchmark in BENCHMARKS if not args.names or benchmark.name in args.names]
    sections = [section for section in SECTIONS if not args.names or {GROUP, section.name}.intersection(args.names)]
    facts = describe()
    args.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        place = Place(args.cache_dir, Path(home), args.runs)
        failures = _run_commands(commands, place, facts)
        rounds = (args.runs + 1) // 2
        failures += _run_engine(sections, engine.Place(args.cache_dir, Path(home), rounds), facts)
    return 1 if failures else 0


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
        print(f"written: {write_commands(as_markdown(results, facts, place.runs))}")
    return len(chosen) - len(results)


def _run_engine(chosen: Sequence[engine.Section], place: engine.Place, facts: Facts) -> int:
    """How many could not be measured."""
    results: list[engine_report.Result] = []
    for section in chosen:
        try:
            results.append((section, section.run(place)))
        except CommandFailed as error:
            print(f"{section.name}: {error}", file=sys.stderr)
        else:
            print(engine_report.as_text(results[-1]), end="\n\n", flush=True)
    if len(results) == len(SECTIONS):
        print(f"written: {write_engine(engine_report.as_markdown(results, facts, place.rounds))}")
    return len(chosen) - len(results)


def _names() -> list[str]:
    return [benchmark.name for benchmark in BENCHMARKS] + [section.name for section in SECTIONS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {GROUP}, {', '.join(_names())}")
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        metavar="N",
        help="runs that count, after the warm-up (default: 5); of the engine half as many rounds",
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
