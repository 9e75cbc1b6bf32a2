"""The engine's results as tables for the terminal and as the second part of docs/benchmarks.md."""

from collections.abc import Iterator, Sequence
from statistics import median

from bench.engine.contests import Contest, Entry, Report, Section

Result = tuple[Section, Report]
_HEADER = ("Measured", "Peer", "Median", "Lowest", "Highest", "Ratio", "Target")

_INTRODUCTION = """\
Written by `python -m bench engine`. Loaded engines and servers, each a process of its own, are asked in turn, {rounds}
rounds (one less of the mixed load and of newcomers, whose rounds have many requests). Ratios are taken round by round
to the row that says reference; their median is shown. The client is one more process on the same cores: raw sockets,
one thread.

Two models: the demo, and a Qwen3 of 30 million random parameters and 16,384 tokens (`bench/engine/random_model.py`).
Neither ever says its end token, so all answers have the length that was asked, and no peer pays for holding it back.
Every peer has float32 weights and the same BLAS; the row called stock is `mlx_lm.server` as it is installed, without
OpenBLAS and with the weights as they are shipped; both have a longer queue of connections than the standard library's
5. Ours is `mlxk2 serve` as it is installed. Every prompt is new; prefix caches are on.
"""


def table(report: Report) -> list[tuple[str, ...]]:
    return [_HEADER, *(row for contest in report.contests for row in _rows(contest))]


def _rows(contest: Contest) -> Iterator[tuple[str, ...]]:
    for entry in contest.entries:
        numbers = (median(entry.values), min(entry.values), max(entry.values))
        shown = (_number(number, contest.unit) for number in numbers)
        yield contest.title, entry.label, *shown, *_verdict(contest, entry)


def _verdict(contest: Contest, entry: Entry) -> tuple[str, str]:
    if entry.label == contest.reference:
        return "reference", ""
    ratio = contest.ratio(entry)
    if entry.target is None:
        return f"{ratio:.2f}×", ""
    return f"{ratio:.2f}×", f"{entry.target.text()}: {'met' if entry.target.is_met(ratio) else 'missed'}"


def _number(number: float, unit: str) -> str:
    return f"{number:,.{0 if number >= 100 else 1}f} {unit}"


def as_text(result: Result) -> str:
    section, report = result
    rows = table(report)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join([*map(str.ljust, row[:2], widths[:2]), *map(str.rjust, row[2:], widths[2:])]).rstrip() for row in rows
    ]
    return "\n".join([f"{section.name}: {section.title}; target: {section.target}", *lines, *report.remarks])


def as_markdown(results: Sequence[Result], facts: Sequence[tuple[str, str]], rounds: int) -> str:
    facts_table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])
    parts = [_INTRODUCTION.format(rounds=rounds), facts_table]
    for section, report in results:
        rows = [f"| {' | '.join(row)} |" for row in table(report)]
        lines = "\n".join([rows[0], "|---|---" + "|---:" * (len(_HEADER) - 2) + "|", *rows[1:]])
        parts += [
            f"\n### {section.title}\n\nTarget: {section.target}.\n\n{lines}",
            *(f"\n{remark}" for remark in report.remarks),
        ]
    return "\n".join(parts) + "\n"
