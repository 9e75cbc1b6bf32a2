"""`mlxk2 search`."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.search_models import Hit
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.transfer import FoundObject, SearchData

_HEADER = ("NAME", "SIZE", "FITS", "DOWNLOADS", "CHANGED")
_FITS = {True: "yes", False: "no", None: "?"}


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    hits = services().search_models()(args.words, limit=args.limit, all_libraries=args.all, notice=out.note)
    if out.json:
        out.document(success("search", SearchData([_object(hit) for hit in hits], len(hits))))
        return 0
    if not hits:
        kind, wider = ("", "") if args.all else (" for MLX", "; look beyond MLX with --all")
        out.note(f"The Hub has no model{kind} whose name has '{' '.join(args.words)}'{wider}")
        return 0
    now = services().clock().now()
    rows = [_row(hit, now) for hit in hits]
    lines = human.table(_HEADER, rows, width=out.width, right=frozenset({"SIZE", "DOWNLOADS"}))
    for line in (out.styled(lines[0], "bold"), *lines[1:]):
        out.result(line)
    out.note("Get one with: mlxk2 pull <name>. FITS compares the weights with this machine's memory")
    return 0


def _row(hit: Hit, now: float) -> list[str]:
    model = hit.model
    marks = [mark for mark, there in (("gated", model.gated), ("cached", hit.cached)) if there]
    return [
        printable(model.name) + (f" ({', '.join(marks)})" if marks else ""),
        "?" if model.size is None else size(model.size),
        _FITS[hit.fits],
        str(model.downloads),
        "?" if model.modified is None else human.age(model.modified, now),
    ]


def _object(hit: Hit) -> FoundObject:
    model = hit.model
    return FoundObject(
        name=model.name,
        size_bytes=model.size,
        fits=hit.fits,
        downloads=model.downloads,
        likes=model.likes,
        last_modified=None if model.modified is None else human.utc(model.modified),
        gated=model.gated,
        cached=hit.cached,
    )
