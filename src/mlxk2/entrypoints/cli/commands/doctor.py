"""`mlxk2 doctor`: what the program stands on, a line each, as soon as it is known."""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from textwrap import wrap

from mlxk2.domain.examination.finding import Finding, Verdict
from mlxk2.domain.names import printable
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.examination import CheckObject, CheckSummary, DoctorData
from mlxk2.ports.redaction import without_secrets

_STYLES = {Verdict.OK: "good", Verdict.WARN: "bold", Verdict.FAIL: "bad"}
_NAMES = 12
"""Columns of the widest name, and its gap."""
_VERDICTS = 6


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    del args
    counts: Counter[Verdict] = Counter()
    checks = []
    for finding in services().examine()():
        counts[finding.verdict] += 1
        if out.json:
            checks.append(_object(finding, out.secret))
        else:
            _show(finding, out)
    if out.json:
        summary = CheckSummary(counts[Verdict.OK], counts[Verdict.WARN], counts[Verdict.FAIL])
        out.document(success("doctor", DoctorData(checks, summary)))
    else:
        out.result(_sum(counts))
    return 1 if counts[Verdict.FAIL] else 0


def _object(finding: Finding, secret: str | None) -> CheckObject:
    return CheckObject(
        name=finding.check,
        status=finding.verdict.value,
        message=without_secrets(finding.text, secret),
        mend=without_secrets(finding.mend, secret) if finding.mend else None,
        values=dict(finding.values),
    )


def _show(finding: Finding, out: Output) -> None:
    head = out.styled(f"{finding.verdict.value:<{_VERDICTS}}", _STYLES[finding.verdict]) + f"{finding.check:<{_NAMES}}"
    for line in _lines(finding, out):
        out.result(head + line)
        head = " " * (_VERDICTS + _NAMES)
    out.flush()


def _lines(finding: Finding, out: Output) -> Iterator[str]:
    for text in (finding.text, f"mend: {finding.mend}" if finding.mend else ""):
        told = printable(without_secrets(text, out.secret))
        if out.width is None:
            yield from [told] if told else []
        else:
            yield from wrap(told, max(out.width - _VERDICTS - _NAMES, 20), break_on_hyphens=False)


def _sum(counts: Counter[Verdict]) -> str:
    parts = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return ", ".join(parts)
