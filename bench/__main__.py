"""`python -m bench [NAME ...]`: run the benchmarks, print a table each, and, when all ran, write docs/benchmarks.md."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.benchmarks import BENCHMARKS, Place, Unavailable
from bench.machine import describe
from bench.processes import CommandFailed
from bench.report import Result, as_markdown, as_text

_DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    unknown = set(args.names) - {benchmark.name for benchmark in BENCHMARKS}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    chosen = [benchmark for benchmark in BENCHMARKS if not args.names or benchmark.name in args.names]
    facts = describe()
    results: list[Result] = []
    args.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        place = Place(args.cache_dir, Path(home), args.runs)
        for benchmark in chosen:
            try:
                results.append((benchmark, benchmark.run(place)))
            except (CommandFailed, Unavailable) as error:
                print(f"{benchmark.name}: {error}", file=sys.stderr)
            else:
                print(as_text(results[-1]), end="\n\n", flush=True)
    if len(results) == len(BENCHMARKS):
        _DOCUMENT.write_text(as_markdown(results, facts, args.runs), encoding="utf-8")
        print(f"written: {_DOCUMENT}")
    return 0 if len(results) == len(chosen) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument(
        "--runs", type=int, default=5, metavar="N", help="runs that count, after the warm-up (default: 5)"
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
