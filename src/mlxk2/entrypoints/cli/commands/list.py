"""`mlxk2 list`."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.classify import Framework, ModelType
from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.model_list import Choice, ModelList, Order
from mlxk2.entrypoints.cli import human, list_view, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.output import Output
from mlxk2.ports.errors import UsageError

_FRAMEWORKS = {framework.value.lower(): framework for framework in Framework}


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if out.json and args.format:
        raise UsageError(f"--format {args.format} and --json are two forms of one result; choose one")
    list_models = services().list_models()
    found = list_models.choose(args.pattern, _choice(args, for_mlx=not (out.json or args.all)))
    if out.json:
        _print(found.models, args.json_spec, out)
        return 0
    _show(found.models, args, services, out)
    _notes(args, found, list_models.place(), out)
    if args.format in (None, "table"):
        _warn(args, found, out)
    return 0


def _choice(args: Namespace, *, for_mlx: bool) -> Choice:
    return Choice(
        framework=_FRAMEWORKS[args.framework] if args.framework else None,
        model_type=ModelType(args.type) if args.type else None,
        healthy=args.healthy,
        order=Order(args.sort),
        reverse=args.reverse,
        limit=args.limit,
        for_mlx=for_mlx,
    )


def _print(models: list[ModelSummary], json_spec: str, out: Output) -> None:
    from mlxk2.entrypoints.cli.envelope import success
    from mlxk2.entrypoints.cli.records.models import ListData

    if model_view.is_strict(json_spec):
        data = ListData([model_view.strict_object(model) for model in models], len(models))
    else:
        data = ListData([model_view.model_object(model) for model in models], len(models))
    out.document(success("list", data))


def _show(models: list[ModelSummary], args: Namespace, services: Callable[[], Services], out: Output) -> None:
    if args.format == "csv":
        out.stream(list_view.csv_text(models))
    elif args.format == "names":
        for model in models:
            out.result(model.name)
    elif models:
        for line in list_view.table(models, args, services().clock().now(), out):
            out.result(line)


def _notes(args: Namespace, found: ModelList, place: str, out: Output) -> None:
    if not found.total and args.pattern:
        out.note(f"No model in the cache matches '{args.pattern}'; see all: mlxk2 list --all")
    elif not found.total:
        out.note(f"No model in the cache ({place}); get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen")
    elif found.others:
        what = human.count(found.others, "model")
        out.note(f"{what} of other frameworks or without weights not shown; see them with: mlxk2 list --all")
    elif not found.models:
        out.note(f"None of {human.count(found.total, 'model')} is of that kind; see all: mlxk2 list --all")


def _warn(args: Namespace, found: ModelList, out: Output) -> None:
    """What the table itself does not say: it does say which ones are unfinished."""
    if found.cut:
        out.note(f"{human.count(found.cut, 'more model')} beyond --limit {args.limit}")
    if args.health or args.verbose:
        return
    ill = [model for model in found.models if not model.health.healthy and not model.is_unfinished]
    if ill and args.healthy is False:
        out.note("See what is wrong with them: mlxk2 list --unhealthy --verbose")
    elif ill:
        which = f"{human.count(len(ill), 'model')} {'is' if len(ill) == 1 else 'are'} not healthy"
        out.note(f"{which}; see which and why with: mlxk2 list --verbose")
