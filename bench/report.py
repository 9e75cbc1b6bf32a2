"""Results as a table for the terminal and as docs/benchmarks.md."""

from collections.abc import Sequence
from statistics import median

from bench.benchmarks import Benchmark, Outcome
from bench.processes import Series

Result = tuple[Benchmark, Outcome]
_HEADER = ("Command", "Median", "Fastest", "Slowest", "Difference", "Ratio", "CPU")

_INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`python -m bench`). Each command is a whole process, from its start to its end (or to the
first character of its answer on a pipe): one run to warm up, then {runs} that count, in turn with its peers. Median,
fastest and slowest are wall-clock times. Difference and ratio are medians over the runs of this command against the
reference in the same turn: what else the machine did at that moment hit both alike, so ratios say more than times.
CPU is the median of user and system time of the whole process, which a busy machine changes least. Files are in the
page cache, byte code is compiled, nothing asks the network.

The models of the `list` benchmarks are healthy 4-bit MLX models in huggingface_hub's layout: seven small files, one to
three shards, the recorded listing, and the lock files that a download leaves behind. Of realistic size means 2 MB of
tokenizer.json and 40 KB of header in every shard. Weights are sparse; their headers and sizes are valid. `mlxk2 list`
judges the health of every model; `hf cache ls` adds up sizes. The bare walk opens every folder of the cache with
`os.scandir` and looks at nothing else. Without its index, `list` reads what it needs of every file, and writes the
index.
"""


def table(outcome: Outcome) -> list[tuple[str, ...]]:
    """Header and one row a series (two when the first character counts too)."""
    kinds = ((", first character", "first"), (", total", "total")) if outcome.streaming else (("", "total"),)
    rows: list[tuple[str, ...]] = [_HEADER]
    for suffix, kind in kinds:
        times = {series.contestant.label: _seconds(series, kind) for series in outcome.series}
        rows += [
            _row(f"{series.contestant.label}{suffix}", series, times[series.contestant.label], times[outcome.reference])
            for series in outcome.series
        ]
    return rows


def _row(label: str, series: Series, own: list[float], reference: list[float]) -> tuple[str, ...]:
    times = (median(own), min(own), max(own))
    processor = median(timing.processor for timing in series.timings)
    return label, *map(_milliseconds, times), *_against(own, reference), _milliseconds(processor)


def _against(own: list[float], reference: list[float]) -> tuple[str, str]:
    """Difference and ratio, turn by turn."""
    if own is reference:
        return "", "reference"
    turns = list(zip(own, reference, strict=True))
    difference = median(mine - theirs for mine, theirs in turns)
    sign = "+" if difference > 0 else "−"
    return f"{sign}{_milliseconds(abs(difference))}", f"{median(mine / theirs for mine, theirs in turns):.2f}×"


def _seconds(series: Series, kind: str) -> list[float]:
    return [timing.first if kind == "first" else timing.total for timing in series.timings]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"


def as_text(result: Result) -> str:
    benchmark, outcome = result
    rows = table(outcome)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([f"{benchmark.name}: {benchmark.title}; target: {benchmark.target}", *lines, *outcome.remarks])


def as_markdown(results: Sequence[Result], facts: Sequence[tuple[str, str]], runs: int) -> str:
    parts = [_INTRODUCTION.format(runs=runs), "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in facts)])]
    for benchmark, outcome in results:
        rows = [f"| {' | '.join(row)} |" for row in table(outcome)]
        lines = "\n".join([rows[0], "|---" + "|---:" * (len(_HEADER) - 1) + "|", *rows[1:]])
        parts += [
            f"\n## {benchmark.title}\n\nTarget: {benchmark.target}.\n\n{lines}",
            *(f"\n{r}" for r in outcome.remarks),
        ]
    return "\n".join(parts) + "\n"
