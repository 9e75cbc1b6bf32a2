"""Results of loaded engines and servers as tables for the terminal and as parts of docs/benchmarks.md."""

from collections.abc import Iterator, Sequence
from statistics import median

from bench.engine.contests import Contest, Entry, Group, Report, Section

Result = tuple[Section, Report]
_HEADER = ("Measured", "Peer", "Median", "Lowest", "Highest", "Against", "Target")


def table(report: Report) -> list[tuple[str, ...]]:
    return [_HEADER, *(row for contest in report.contests for row in _rows(contest))]


def _rows(contest: Contest) -> Iterator[tuple[str, ...]]:
    for entry in contest.entries:
        if not entry.values:
            yield contest.title, entry.label, entry.absence, "", "", "", ""
            continue
        numbers = (median(entry.values), min(entry.values), max(entry.values))
        shown = (_number(number, contest.unit) for number in numbers)
        yield contest.title, entry.label, *shown, *_verdict(contest, entry)


def _verdict(contest: Contest, entry: Entry) -> tuple[str, str]:
    if entry.label == contest.reference:
        return "reference", ""
    reached = contest.reached(entry)
    shown = _against(contest, reached)
    if entry.target is None:
        return shown, ""
    sign = "≥" if entry.target.at_least else "≤"
    met = "met" if entry.target.is_met(reached) else "missed"
    return shown, f"{sign} {_against(contest, entry.target.limit)}: {met}"


def _against(contest: Contest, value: float) -> str:
    if not contest.differences:
        return f"{value:.2f}×"
    return f"{'+' if value >= 0 else '−'}{abs(value):.1f} {contest.unit}"


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


def as_markdown(group: Group, results: Sequence[Result], facts: Sequence[tuple[str, str]], rounds: int) -> str:
    facts_table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])
    parts = [group.introduction.format(rounds=rounds), facts_table]
    for section, report in results:
        rows = [f"| {' | '.join(row)} |" for row in table(report)]
        lines = "\n".join([rows[0], "|---|---" + "|---:" * (len(_HEADER) - 2) + "|", *rows[1:]])
        parts += [
            f"\n### {section.title}\n\nTarget: {section.target}.\n\n{lines}",
            *(f"\n{remark}" for remark in report.remarks),
        ]
    return "\n".join(parts) + "\n"
