"""`mlxk2 health`."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.usecases.check_health import HealthReport
from mlxk2.entrypoints.cli import health_view, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.models import HealthData, HealthRow, HealthSummary
from mlxk2.ports.errors import UsageError


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if args.deep:
        from mlxk2.entrypoints.cli.commands.verify import verify

        return verify("health", args, services, out)
    if args.again or args.max_age is not None:
        raise UsageError("--again and --max-age are about reading whole files; add --deep, or use: mlxk2 verify")
    report = services().check_health()(args.pattern)
    if out.json:
        out.document(success("health", _data(report)))
    else:
        _show(report, args, out)
    return 1 if args.fail and report.unhealthy else 0


def _data(report: HealthReport) -> HealthData:
    return HealthData(
        [_row(summary) for summary in report.healthy],
        [_row(summary) for summary in report.unhealthy],
        HealthSummary(report.total, len(report.healthy), len(report.unhealthy)),
    )


def _row(summary: ModelSummary) -> HealthRow:
    return HealthRow(summary.name, model_view.health_word(summary), summary.health.reason)


def _show(report: HealthReport, args: Namespace, out: Output) -> None:
    if not report.total:
        health_view.tell_nothing(args.pattern, out)
        return
    healthy = report.healthy if args.verbose or not report.unhealthy else ()
    for summary in (*healthy, *report.unhealthy):
        health_view.show_row(summary, out, full=args.verbose)
    if report.unhealthy:
        pinned = "@" in (args.pattern or "")
        broken = [summary for summary in report.unhealthy if not summary.is_downloading]
        names = [health_view.pulled_name(one.name, one.commit if pinned else None) for one in broken]
        out.note(health_view.advice(report.unhealthy, names))
    out.result(health_view.counts(len(report.healthy), len(report.unhealthy)))
