"""`mlxk2 prune`: plan, show, ask or be told, then free."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import Literal

from mlxk2.domain.names import name_of, printable
from mlxk2.domain.pruning import PruneChoice, PrunePlan
from mlxk2.domain.sizes import size
from mlxk2.entrypoints.cli import human, prune_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import ACCESS
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.pruning import KeptObject, LeftoverObject, PruneData
from mlxk2.ports.errors import OperationError
from mlxk2.ports.pruning import Leftover, Outcome


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if not (args.force or args.dry_run or out.can_ask()):
        raise OperationError(
            "Nothing was deleted: without a terminal to ask on, prune needs --force; see what would go with --dry-run"
        )
    parts = services()
    prune = parts.prune_cache()
    plan = prune.plan(PruneChoice(args.older_than, args.keep_last))
    if not out.json:
        _show(plan, parts.clock().now(), out)
    if args.dry_run or not plan.leftovers:
        return _planned(plan, args, out)
    if not args.force and not out.ask(f"Delete all of this and free {size(plan.frees)}?"):
        out.note("Nothing was deleted")
        return 1
    swept = prune.execute(plan)
    deleted = [outcome.leftover for outcome in swept.outcomes if outcome.kept is None]
    message = f"Deleted {prune_view.summary(deleted)}, {size(swept.freed)} freed" if deleted else "Nothing was deleted"
    if out.json:
        rows = [_object(outcome) for outcome in _sorted(plan, swept.outcomes)]
        out.document(success("prune", _data("pruned", message, rows, plan, swept.freed)))
    else:
        _tell_kept(swept.outcomes, out)
        out.result(f"Freed {size(swept.freed)}" if swept.freed else message)
    return ACCESS if any(outcome.refused for outcome in swept.outcomes) else _code(plan)


def _show(plan: PrunePlan, now: float, out: Output) -> None:
    if plan.leftovers:
        lines = prune_view.table(plan.leftovers, now, out.width)
        for line in (out.styled(lines[0], "bold"), *lines[1:]):
            out.result(line)
    shown = {leftover.folder for leftover in plan.leftovers}
    for kept in plan.kept:
        rest = "The rest of " if kept.folder in shown else ""
        out.note(f"{rest}{name_of(kept.folder)} is left alone: {printable(kept.reason)}")


def _planned(plan: PrunePlan, args: Namespace, out: Output) -> int:
    """A dry run, or nothing to do."""
    if not out.json:
        out.result(f"Would free {size(plan.frees)}; nothing was deleted" if plan.leftovers else _nothing(args))
        return _code(plan)
    would = f"Would delete {prune_view.summary(plan.leftovers)} and free {size(plan.frees)}"
    rows = [_object(Outcome(leftover), "planned") for leftover in plan.leftovers]
    action: Literal["planned", "pruned"] = "planned" if args.dry_run else "pruned"
    out.document(success("prune", _data(action, would if rows else _nothing(args), rows, plan, plan.frees)))
    return _code(plan)


def _nothing(args: Namespace) -> str:
    if args.older_than:
        return f"Nothing older than {human.duration(args.older_than)} is left over"
    return "Nothing is left over"


def _code(plan: PrunePlan) -> int:
    return 1 if plan.is_unclear else 0


def _data(
    action: Literal["planned", "pruned"], message: str, rows: list[LeftoverObject], plan: PrunePlan, frees: int
) -> PruneData:
    kept = [KeptObject(name_of(one.folder), one.reason) for one in plan.kept]
    return PruneData(action, message, rows, kept, len(rows), frees)


def _sorted(plan: PrunePlan, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """In the order of the plan."""
    place = {leftover: number for number, leftover in enumerate(plan.leftovers)}
    return sorted(outcomes, key=lambda outcome: place[outcome.leftover])


def _object(outcome: Outcome, action: Literal["planned"] | None = None) -> LeftoverObject:
    leftover: Leftover = outcome.leftover
    done: Literal["deleted", "failed", "kept"] = (
        "deleted" if outcome.kept is None else "failed" if outcome.refused else "kept"
    )
    return LeftoverObject(
        kind=leftover.kind.value,
        model=name_of(leftover.folder) if leftover.folder else None,
        name=leftover.name,
        size_bytes=leftover.size,
        last_modified=human.utc(leftover.modified),
        action=action or done,
        reason=outcome.kept,
    )


def _tell_kept(outcomes: Iterable[Outcome], out: Output) -> None:
    """One sentence for each model and reason."""
    kept = {(one.leftover.folder, one.leftover.kind, one.kept): None for one in outcomes if one.kept}
    for folder, kind, reason in kept:
        where = f" of {name_of(folder)}" if folder else ""
        out.note(f"Not deleted: {kind.value}{where}, {printable(reason or '')}")
