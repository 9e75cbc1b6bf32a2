"""The forms in which `list` shows models: a table for people, CSV and bare names for other programs."""

from argparse import Namespace
from collections.abc import Sequence

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.sizes import size
from mlxk2.entrypoints.cli import human, model_view
from mlxk2.entrypoints.cli.output import Output

CSV_COLUMNS = (
    *("name", "hash", "size_bytes", "last_modified", "last_used", "framework", "model_type", "capabilities"),
    *("health", "runtime_compatible", "reason"),
)


def table(models: Sequence[ModelSummary], args: Namespace, now: float, out: Output) -> list[str]:
    """With a column for whatever was asked for; with --verbose, the reasons below it."""
    header = ["NAME", "HASH", "SIZE", "MODIFIED"]
    header += ["USED"] if args.sort == "used" else []
    header += ["TYPE"]
    header += ["FRAMEWORK"] if args.all else []
    header += ["HEALTH"] if args.health or args.verbose else []
    rows = [_row(model, args, now) for model in models]
    lines = human.table(header, rows, width=out.width, right=frozenset({"SIZE"}))
    if args.verbose:
        lines += [f"{model.name}: {model.reason}" for model in models if model.reason]
    return [out.styled(lines[0], "bold"), *lines[1:]]


def csv_text(models: Sequence[ModelSummary]) -> str:
    """RFC 4180: a header, lines that end in CR LF, quotes where they are needed. What is not known is empty."""
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_values(model) for model in models)
    return text.getvalue()


def _row(model: ModelSummary, args: Namespace, now: float) -> list[str]:
    kind = model.classification
    row = [
        model_view.shown_name(model, full=args.verbose),
        model_view.shown_hash(model),
        size(model.size),
        human.age(model.modified, now),
    ]
    row += [human.age(model.used, now) if model.used else "-"] if args.sort == "used" else []
    row += [_type(model)]
    row += [kind.framework.value] if args.all else []
    return row + ([model_view.health_word(model)] if args.health or args.verbose else [])


def _type(model: ModelSummary) -> str:
    if model.is_unfinished:
        return "downloading" if model.is_downloading else "incomplete"
    return model.classification.model_type.value


def _values(model: ModelSummary) -> list[object]:
    """The row in the order of CSV_COLUMNS, in the words of the JSON model object."""
    full = model_view.model_object(model)
    return [
        full.name,
        full.hash,
        full.size_bytes,
        full.last_modified,
        human.utc(model.used) if model.used else None,
        full.framework,
        full.model_type,
        " ".join(full.capabilities),
        full.health,
        "true" if full.runtime_compatible else "false",
        full.reason,
    ]
