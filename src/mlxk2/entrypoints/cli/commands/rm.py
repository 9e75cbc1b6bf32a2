"""`mlxk2 rm`: plan, ask or be told, then delete."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.names import printable
from mlxk2.domain.plans import RemovalPlan
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.remove_model import RemoveModel
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import exit_code
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.removal import RemovalPlanObject, RemoveManyData, RemoveResult
from mlxk2.ports.errors import Mlxk2Error, OperationError


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    remove = services().remove_model()
    names = remove.matches(args.model)
    if names is not None:
        return _many(names, args, remove, out)
    plan = remove.plan(args.model)
    if args.dry_run:
        return _answer(_planned(plan), out)
    if not args.force:
        if not _agreed(plan, args.model, remove, out):
            out.note("Nothing was deleted")
            return 1
        plan = _unchanged(plan, remove.plan(args.model), remove)
    return _answer(_delete(plan, remove, out), out)


def _many(names: list[str], args: Namespace, remove: RemoveModel, out: Output) -> int:
    if not args.force and not args.dry_run:
        raise OperationError(
            f"'{args.model}' matches {human.count(len(names), 'model')}; nothing was deleted:"
            " look with --dry-run, then delete with --force"
        )
    results: list[RemoveResult] = []
    worst = 0
    for name in names:
        try:
            plan = remove.plan_named(name)
            results.append(_planned(plan) if args.dry_run else _delete(plan, remove, out))
        except Mlxk2Error as error:
            results.append(RemoveResult(name, "failed", error.message))
            worst = max(worst, exit_code(error))
    if out.json:
        out.document(success("rm", RemoveManyData(results)))
    else:
        for result in results:
            if result.action == "failed":
                out.note(result.message)
            else:
                _tell(result, out)
    return worst


def _agreed(plan: RemovalPlan, typed: str, remove: RemoveModel, out: Output) -> bool:
    remove.check_locks(plan)
    if not out.can_ask():
        raise OperationError(
            f"Nothing was deleted: without a terminal to ask on, rm needs --force (mlxk2 rm {typed} --force)"
        )
    return out.ask(f"Delete {_what(plan)} and free {size(plan.frees)}?")


def _unchanged(shown: RemovalPlan, fresh: RemovalPlan, remove: RemoveModel) -> RemovalPlan:
    """What was agreed to must still be what is there."""
    remove.check_locks(fresh)
    if fresh != shown:
        raise OperationError(f"'{shown.name}' changed while you were asked; nothing was deleted, look at it again")
    return fresh


def _delete(plan: RemovalPlan, remove: RemoveModel, out: Output) -> RemoveResult:
    if plan.held_locks:
        count = human.count(len(plan.held_locks), "lock")
        out.note(f"Warning: deleting {plan.name} although another process holds {count} of it")
    remove.execute(plan)
    return RemoveResult(plan.name, "deleted", f"Deleted {_what(plan)}, {size(plan.frees)} freed")


def _planned(plan: RemovalPlan) -> RemoveResult:
    removal = plan.removal
    return RemoveResult(
        plan.name,
        "planned",
        f"Would delete {_what(plan)} and free {size(plan.frees)}",
        RemovalPlanObject(
            whole_model=removal.whole_model,
            revisions=list(plan.commits),
            refs=list(removal.refs),
            blobs=list(removal.blobs),
            frees_bytes=plan.frees,
            lock_files=list(plan.held_locks),
        ),
    )


def _what(plan: RemovalPlan) -> str:
    if not plan.removal.whole_model:
        return f"revision {plan.commits[0][:12]} of {plan.name}"
    return plan.name if len(plan.commits) < 2 else f"{plan.name} ({len(plan.commits)} revisions)"


def _answer(result: RemoveResult, out: Output) -> int:
    if out.json:
        out.document(success("rm", result))
    else:
        _tell(result, out)
    return 0


def _tell(result: RemoveResult, out: Output) -> None:
    """The sentence, and of a plan what it holds."""
    out.result(result.message)
    plan = result.plan
    if plan is None:
        return
    rows = (
        ("revisions", ", ".join(commit[:12] for commit in plan.revisions) or "none"),
        ("refs", ", ".join(plan.refs)),
        ("blobs", "" if plan.whole_model else str(len(plan.blobs))),
        ("locks in use", ", ".join(plan.lock_files)),
    )
    for line in human.facts([(label, value) for label, value in rows if value]):
        out.result(f"  {printable(line)}")
