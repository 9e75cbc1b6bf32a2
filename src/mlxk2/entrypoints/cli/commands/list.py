"""`mlxk2 list`."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.classify import Framework
from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.sizes import size
from mlxk2.entrypoints.cli import human, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.models import ListData


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    list_models = services().list_models()
    summaries = list_models(args.pattern)
    if out.json:
        out.document(success("list", _data(summaries, args.json_spec)))
        return 0
    shown = [summary for summary in summaries if args.all or _is_for_mlx(summary)]
    if shown:
        for line in _table(shown, args, services().clock().now(), out):
            out.result(line)
    _notes(args, len(summaries), len(summaries) - len(shown), list_models.place(), out)
    if not (args.health or args.verbose):
        _warn(shown, out)
    return 0


def _data(summaries: list[ModelSummary], json_spec: str) -> ListData:
    if model_view.is_strict(json_spec):
        return ListData([model_view.strict_object(summary) for summary in summaries], len(summaries))
    return ListData([model_view.model_object(summary) for summary in summaries], len(summaries))


def _is_for_mlx(summary: ModelSummary) -> bool:
    """What is not wholly here yet may become one, and nobody should think that nothing is there."""
    return summary.classification.framework is Framework.MLX or summary.is_unfinished


def _table(summaries: list[ModelSummary], args: Namespace, now: float, out: Output) -> list[str]:
    header = ["NAME", "HASH", "SIZE", "MODIFIED", "TYPE"]
    header += ["FRAMEWORK"] if args.all else []
    header += ["HEALTH"] if args.health or args.verbose else []
    rows = [_row(summary, args, now) for summary in summaries]
    lines = human.table(header, rows, width=out.width, right=frozenset({"SIZE"}))
    if args.verbose:
        lines += [f"{summary.name}: {summary.reason}" for summary in summaries if summary.reason]
    return [out.styled(lines[0], "bold"), *lines[1:]]


def _row(summary: ModelSummary, args: Namespace, now: float) -> list[str]:
    kind = summary.classification
    row = [
        model_view.shown_name(summary, full=args.verbose),
        model_view.shown_hash(summary),
        size(summary.size),
        human.age(summary.modified, now),
        _type(summary),
    ]
    row += [kind.framework.value] if args.all else []
    return row + ([model_view.health_word(summary)] if args.health or args.verbose else [])


def _notes(args: Namespace, total: int, hidden: int, place: str, out: Output) -> None:
    if not total and args.pattern:
        out.note(f"No model in the cache matches '{args.pattern}'; see all: mlxk2 list --all")
    elif not total:
        out.note(f"No model in the cache ({place}); get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen")
    elif hidden:
        what = human.count(hidden, "model")
        out.note(f"{what} of other frameworks or without weights not shown; see them with: mlxk2 list --all")


def _warn(shown: list[ModelSummary], out: Output) -> None:
    """The table itself says which ones are unfinished."""
    ill = [summary for summary in shown if not summary.health.healthy and not summary.is_unfinished]
    if ill:
        which = f"{human.count(len(ill), 'model')} {'is' if len(ill) == 1 else 'are'} not healthy"
        out.note(f"{which}; see which and why with: mlxk2 list --verbose")


def _type(summary: ModelSummary) -> str:
    if summary.is_unfinished:
        return "downloading" if summary.is_downloading else "incomplete"
    return summary.classification.model_type.value
