"""`mlxk2 verify`, and `mlxk2 health --deep`, which is the same."""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator

from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.verify_models import VerifiedModel, VerifyReport
from mlxk2.entrypoints.cli import health_view, human, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.verification import (
    DamagedFile,
    UncheckedFile,
    VerifyData,
    VerifyRow,
    VerifySummary,
)
from mlxk2.entrypoints.cli.verify_progress import VerifyProgress
from mlxk2.ports.errors import Interrupted

MAX_AGE = 30 * 86_400.0
"""Seconds after which a file is read again; whoever verifies once a month reads everything."""
_WORTH_A_SPEED = 1.0
"""Seconds: of shorter runs, the reading was not the most of it."""


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    return verify("verify", args, services, out)


def verify(command: str, args: Namespace, services: Callable[[], Services], out: Output) -> int:
    """`command` is the word that was typed."""
    max_age = MAX_AGE if args.max_age is None else args.max_age
    started = time.monotonic()
    with VerifyProgress(out) as progress:
        try:
            report = services().verify_models()(args.pattern, None if args.again else max_age, progress.watch)
        except KeyboardInterrupt:
            raise Interrupted(progress.so_far(again=args.again)) from None
    if out.json:
        out.document(success(command, _data(report)))
    else:
        _show(report, args, out, time.monotonic() - started)
    return 1 if report.unhealthy else 0


def _data(report: VerifyReport) -> VerifyData:
    return VerifyData(
        [_row(model) for model in report.healthy],
        [_row(model) for model in report.unhealthy],
        VerifySummary(
            len(report.models), len(report.healthy), len(report.unhealthy), report.files, report.size, report.read
        ),
    )


def _row(model: VerifiedModel) -> VerifyRow:
    return VerifyRow(
        name=model.summary.name,
        status=model_view.health_word(model.summary),
        reason=model.summary.health.reason,
        revisions=list(model.commits),
        files_checked=model.files,
        bytes_checked=model.size,
        unchecked=[UncheckedFile(commit, path) for commit, path in model.unknown],
        damaged=[DamagedFile(one.commit, one.path, one.why, one.expected, one.found) for one in model.damages],
    )


def _show(report: VerifyReport, args: Namespace, out: Output, seconds: float) -> None:
    if not report.models:
        health_view.tell_nothing(args.pattern, out)
        return
    healthy = report.healthy if args.verbose or not report.unhealthy else ()
    for model in (*healthy, *report.unhealthy):
        health_view.show_row(model.summary, out, full=args.verbose, more=_unchecked(model))
    if report.unhealthy:
        names = [name for model in report.unhealthy for name in _to_pull(model, pinned="@" in (args.pattern or ""))]
        out.note(health_view.advice([model.summary for model in report.unhealthy], names))
    unknown = [model for model in report.models if model.unknown]
    if unknown:
        name = health_view.pulled_name(unknown[0].summary.name, None) if len(unknown) == 1 else "<org/model>"
        out.note(f"Nothing here tells the hash of these files; the Hub does, with: mlxk2 pull {name} --repair")
    counts = health_view.counts(len(report.healthy), len(report.unhealthy))
    out.result(f"{counts}; {human.count(report.files, 'file')}, {size(report.size)} {_how(report, args, seconds)}")


def _unchecked(model: VerifiedModel) -> str:
    number = len(model.unknown)
    return f" ({human.count(number, 'file')} cannot be checked)" if number else ""


def _to_pull(model: VerifiedModel, *, pinned: bool) -> Iterator[str]:
    """The model, where its chosen revision is unhealthy; and every other revision that is damaged."""
    summary = model.summary
    damaged = {damage.commit for damage in model.damages}
    if not summary.is_downloading and (summary.commit in damaged or not damaged):
        yield health_view.pulled_name(summary.name, summary.commit if pinned else None)
    yield from (health_view.pulled_name(summary.name, commit) for commit in sorted(damaged - {summary.commit}))


def _how(report: VerifyReport, args: Namespace, seconds: float) -> str:
    """What was read now, how fast, and since when the rest is known."""
    limit = human.duration(MAX_AGE if args.max_age is None else args.max_age)
    speed = f" ({size(round(report.read / seconds))}/s)" if seconds >= _WORTH_A_SPEED else ""
    if not report.remembered:
        return f"read and checked{speed}"
    if not report.read:
        return f"checked within the last {limit}; --again reads everything now"
    return f"checked; {size(report.read)} of it read now{speed}, the rest within the last {limit}"
