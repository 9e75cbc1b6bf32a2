"""`mlxk2 health`."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME, printable
from mlxk2.domain.usecases.check_health import HealthReport
from mlxk2.entrypoints.cli import human, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.models import HealthData, HealthRow, HealthSummary


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
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
        matching = f" matches '{args.pattern}'" if args.pattern else ""
        out.note(f"No model in the cache{matching}; see what is there with: mlxk2 list --all")
        return
    if args.verbose or not report.unhealthy:
        for summary in report.healthy:
            out.result(
                f"{model_view.styled_health(summary, out)}    {model_view.shown_name(summary, full=args.verbose)}"
            )
    for summary in report.unhealthy:
        name = model_view.shown_name(summary, full=args.verbose)
        out.result(f"{model_view.styled_health(summary, out)}  {name}: {summary.health.reason}")
    if report.unhealthy:
        out.note(_advice(report.unhealthy, pinned="@" in (args.pattern or "")))
    unhealthy = f", {len(report.unhealthy)} unhealthy" if report.unhealthy else ""
    out.result(f"{human.count(report.total, 'model')}: {len(report.healthy)} healthy{unhealthy}")


def _advice(unhealthy: Sequence[ModelSummary], *, pinned: bool) -> str:
    """The next step, for the one model that needs it or for all of them."""
    waiting = [summary for summary in unhealthy if summary.is_downloading]
    if len(waiting) == len(unhealthy):
        return "Wait for the download to end"
    broken = [summary for summary in unhealthy if not summary.is_downloading]
    return f"Fetch what is missing or damaged with: mlxk2 pull {_named(broken, pinned=pinned)} --repair"


def _named(broken: Sequence[ModelSummary], *, pinned: bool) -> str:
    if len(broken) > 1:
        return "<org/model>"
    (summary,) = broken
    if summary.name == DEMO_NAME:
        return DEMO_ALIAS
    revision = f"@{summary.commit[:12]}" if pinned and summary.commit else ""
    return f"{printable(summary.name)}{revision}"
