"""`mlxk2 du`."""

from argparse import Namespace
from collections.abc import Callable, Iterator

from mlxk2.domain.names import printable, short_name
from mlxk2.domain.sizes import size
from mlxk2.domain.usage import ModelUsage, RevisionUsage, Usage
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.errors import GENERAL
from mlxk2.entrypoints.cli.model_view import SHORT_HASH
from mlxk2.entrypoints.cli.output import Output

_HEADER = ("NAME", "SIZE", "OWN", "SHARED")
_ELSEWHERE = "its folder is a link to a place outside of the cache; what is there is not counted"


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    disk_usage = services().disk_usage()
    usage = disk_usage(args.pattern)
    if out.json:
        _print(usage, out)
    else:
        _show(usage, args, disk_usage.place(), out)
    return GENERAL if usage.unread or any(model.problem for model in usage.models) else 0


def _print(usage: Usage, out: Output) -> None:
    from mlxk2.entrypoints.cli.envelope import success
    from mlxk2.entrypoints.cli.records.usage import ModelUsageObject, RevisionUsageObject, UsageData

    models = [
        ModelUsageObject(
            name=model.name,
            size_bytes=model.size,
            own_bytes=model.own,
            shared_bytes=model.shared,
            shared_with=list(model.shared_with),
            partial_bytes=model.partial,
            unused_bytes=model.unused,
            revisions=[
                RevisionUsageObject(one.commit, list(one.refs), one.size, one.own, one.shared)
                for one in model.revisions
            ],
            reason=_reason(model),
        )
        for model in usage.models
    ]
    data = UsageData(
        models,
        len(models),
        usage.of_them,
        usage.others,
        usage.total,
        usage.free,
        [printable(one) for one in usage.unread],
    )
    out.document(success("du", data))


def _show(usage: Usage, args: Namespace, place: str, out: Output) -> None:
    if usage.models:
        rows = [row for model in usage.models for row in _rows(model, args)]
        lines = human.table(_HEADER, rows, width=out.width, right=frozenset(_HEADER[1:]))
        lines += _sharing(usage) if args.verbose else []
        for line in (out.styled(lines[0], "bold"), *lines[1:], ""):
            out.result(line)
    elif args.pattern:
        out.note(f"No model in the cache matches '{args.pattern}'; see all: mlxk2 du")
    else:
        out.note(f"No model in the cache ({place}); get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen")
    for line in human.facts(_sums(usage)):
        out.result(line)
    for note in _notes(usage):
        out.note(note)


def _rows(model: ModelUsage, args: Namespace) -> Iterator[list[str]]:
    """The model, and what it consists of where that says more."""
    name = model.name if args.verbose else short_name(model.name)
    yield [name, *_sizes(model)]
    if len(model.revisions) > 1 or args.verbose or model.partial or model.unused:
        for revision in model.revisions:
            yield [f"  {_named(revision)}", *_sizes(revision)]
    for what, number in (("partial downloads", model.partial), ("blobs of no revision", model.unused)):
        if number:
            yield [f"  {what}", size(number), "", ""]


def _sizes(of: ModelUsage | RevisionUsage) -> tuple[str, str, str]:
    return size(of.size), size(of.own), size(of.shared) if of.shared else "-"


def _named(revision: RevisionUsage) -> str:
    refs = printable(f" ({', '.join(revision.refs)})") if revision.refs else ""
    return f"{revision.commit[:SHORT_HASH]}{refs}"


def _sharing(usage: Usage) -> list[str]:
    sharing = [model for model in usage.models if model.shared_with]
    return [f"{model.name} shares files with: {', '.join(model.shared_with)}" for model in sharing]


def _sums(usage: Usage) -> list[tuple[str, str]]:
    count, whole = len(usage.models), usage.models_in_cache
    models = human.count(whole, "model")
    sums = [("Models", f"{size(usage.of_them)} in {models if count == whole else f'{count} of {models}'}")]
    if count == whole and usage.others:
        sums.append(("Others", f"{size(usage.others)} in data sets, spaces and leftovers"))
    return [*sums, ("Cache", size(usage.total)), ("Free", size(usage.free))]


def _notes(usage: Usage) -> Iterator[str]:
    for model in usage.models:
        if reason := _reason(model):
            yield f"{model.name}: {reason}"
    if usage.unread:
        folders = ", ".join(printable(folder) for folder in usage.unread[:3])
        more = ", ..." if len(usage.unread) > 3 else ""
        yield f"Not everything could be read, so that the sums are too small; check the permissions of {folders}{more}"
    loose = sum(model.partial + model.unused for model in usage.models)
    if loose:
        yield f"{size(loose)} in partial downloads and blobs of no revision; see what can go: mlxk2 prune --dry-run"


def _reason(model: ModelUsage) -> str | None:
    return model.problem or (_ELSEWHERE if model.elsewhere else None)
