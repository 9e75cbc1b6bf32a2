"""`mlxk2 push`: check, plan, then upload; `--check-only` and `--dry-run` stop after the first and the second."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.push_model import FolderCheck, PushModel, PushOptions, PushPlan, PushResult
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.upload import ChangeSummary, IgnoredObject, PushData, WorkspaceHealth
from mlxk2.ports.errors import Interrupted, UsageError

_SHOWN = 10


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if not (args.private or args.public or args.check_only):
        raise UsageError("push needs --private or --public: say who may read the repo")
    push = services().push_model()
    check = push.check(args.folder, args.model)
    heard: list[str] = []

    def notice(text: str) -> None:
        heard.append(text)
        out.note(text)

    data = _push(args, push, check, notice, out)
    if args.verbose:
        data = _with_logs(data, heard)
    if out.json:
        out.document(success("push", data))
    else:
        out.result(data.message)
    return 0


def _push(args: Namespace, push: PushModel, check: FolderCheck, notice: Callable[[str], None], out: Output) -> PushData:
    if not out.json:
        _tell_folder(check, args, out)
    if args.check_only:
        return _data(args, push, check, message=_checked_message(check))
    options = PushOptions(args.private, args.branch, args.commit, args.create, args.delete)
    plan = push.plan(check, options, notice)
    if not out.json:
        _tell_plan(plan, args, out)
    if args.dry_run:
        return _data(args, push, check, plan=plan, message=_planned_message(plan))
    if plan.uploads and not out.json:
        out.note(f"Uploading {human.count(len(plan.uploads), 'file')}, {size(sum(file.size for file in plan.uploads))}")
    try:
        result = push.execute(plan, notice, bars=out.can_animate)
    except KeyboardInterrupt:
        made = f"; the repo {check.name} was made" if plan.missing == "repo" else ""
        raise Interrupted(
            f"Interrupted{made}; whether the commit was made shows on {push.page(check.name)}; pushing again sends only"
            " what is missing"
        ) from None
    return _data(args, push, check, plan=result.plan, result=result, message=_done_message(result))


def _data(
    args: Namespace,
    push: PushModel,
    check: FolderCheck,
    *,
    message: str,
    plan: PushPlan | None = None,
    result: PushResult | None = None,
) -> PushData:
    changes = _summary(plan) if plan else None
    planned = plan if args.dry_run else None
    committed = result.committed if result else None
    return PushData(
        repo_id=check.name,
        branch=args.branch,
        repo_url=push.page(check.name),
        commit_sha=committed.commit if committed else None,
        commit_url=committed.url if committed else None,
        uploaded_files_count=len(result.plan.uploads) if result and committed else 0,
        local_files_count=len(check.files),
        no_changes=plan.is_empty if plan else None,
        created_repo=result.created_repo if result else False,
        change_summary=None if planned else changes,
        message=message,
        experimental=False,
        disclaimer="",
        local_files=[file.path for file in check.files] if args.check_only else None,
        ignored_files=_ignored(check) if args.check_only else None,
        workspace_health=WorkspaceHealth(check.health.healthy, check.health.reason),
        dry_run=True if planned else None,
        dry_run_summary=changes if planned else None,
        added_files=[file.path for file in planned.added] if planned else None,
        modified_files=[file.path for file in planned.modified] if planned else None,
        deleted_files=list(planned.deleted) if planned else None,
    )


def _ignored(check: FolderCheck) -> list[IgnoredObject]:
    reasons = {path: reason.value for path, reason in check.at_home.items()}
    reasons |= dict.fromkeys(check.outside, "a link to a file outside the folder")
    reasons |= dict.fromkeys(check.odd, "a link to a folder, or no file at all")
    return [IgnoredObject(path, reason) for path, reason in sorted(reasons.items())]


def _with_logs(data: PushData, heard: Sequence[str]) -> PushData:
    from dataclasses import replace

    return replace(data, hf_logs=list(heard))


def _summary(plan: PushPlan) -> ChangeSummary:
    return ChangeSummary(len(plan.added), len(plan.modified), len(plan.deleted))


def _tell_folder(check: FolderCheck, args: Namespace, out: Output) -> None:
    """What goes along with --check-only, and what stays at home: secrets always by their names."""
    if args.check_only and args.verbose:
        for file in check.files:
            out.result(f"  + {printable(file.path)} ({size(file.size)})")
    if check.secrets_at_home:
        out.note(f"Secrets stay at home: {_names(check.secrets_at_home, all_of_them=args.verbose)}")
    others = sorted(check.at_home.keys() - set(check.secrets_at_home))
    if args.verbose:
        for path in others:
            out.note(f"  stays at home: {printable(path)} ({check.at_home[path].value})")
    elif others:
        stay = "stays" if len(others) == 1 else "stay"
        out.note(f"{_counted(others)} {stay} at home (caches, leftovers, .hfignore); see --verbose")
    if check.outside:
        out.note(f"Links to files outside the folder, left out: {_names(check.outside, all_of_them=args.verbose)}")
    if check.odd:
        out.note(f"Links to folders and the like, left out: {_names(check.odd, all_of_them=args.verbose)}")
    if not check.health.healthy and not args.check_only:
        out.note(f"As a model, this folder is unhealthy: {check.health.reason}")


def _tell_plan(plan: PushPlan, args: Namespace, out: Output) -> None:
    if args.public and plan.repo and plan.repo.private:
        out.note(f"{plan.check.name} is private on the Hub, and stays so")
    if not (args.dry_run or args.verbose):
        return
    marked = [("+", file.path) for file in plan.added]
    marked += [("~", file.path) for file in plan.modified]
    marked += [("-", path) for path in plan.deleted]
    for mark, path in sorted(marked, key=lambda row: row[1]):
        line = f"  {mark} {printable(path)}"
        if args.dry_run:
            out.result(line)
        else:
            out.note(line)


def _counted(paths: Sequence[str]) -> str:
    folders = sum(path.endswith("/") for path in paths)
    counted = ((len(paths) - folders, "file"), (folders, "folder"))
    return " and ".join(human.count(number, noun) for number, noun in counted if number)


def _names(paths: Sequence[str], *, all_of_them: bool) -> str:
    shown = paths if all_of_them or len(paths) <= _SHOWN else paths[:_SHOWN]
    more = f" and {len(paths) - len(shown)} more" if len(shown) < len(paths) else ""
    return ", ".join(printable(path) for path in shown) + more


def _checked_message(check: FolderCheck) -> str:
    verdict = "healthy" if check.health.healthy else f"unhealthy: {check.health.reason}"
    total = size(sum(file.size for file in check.files))
    return f"{human.count(len(check.files), 'file')} ({total}) would go to {check.name}; as a model: {verdict}"


def _planned_message(plan: PushPlan) -> str:
    if plan.is_empty and not plan.missing:
        return f"{plan.check.name} already holds these files; a push would change nothing"
    made = {"repo": "make the repo", "branch": f"make the branch '{plan.options.branch}'", None: ""}[plan.missing]
    what = " and ".join(part for part in (_changes(plan), made) if part)
    return f"A push to {plan.check.name} would {what}; nothing was sent"


def _done_message(result: PushResult) -> str:
    name = result.plan.check.name
    made = "repo made, " if result.created_repo else ""
    made += "branch made, " if result.created_branch else ""
    if result.committed is None:
        return f"{name}: {made}nothing to change, it already holds these files"
    return f"{name}: {made}{_changed(result.plan)} in commit {result.committed.commit[:12]} ({result.committed.url})"


def _changes(plan: PushPlan) -> str:
    parts = (("add", len(plan.added)), ("change", len(plan.modified)), ("delete", len(plan.deleted)))
    return ", ".join(f"{verb} {human.count(number, 'file')}" for verb, number in parts if number)


def _changed(plan: PushPlan) -> str:
    parts = (("added", len(plan.added)), ("changed", len(plan.modified)), ("deleted", len(plan.deleted)))
    return ", ".join(f"{human.count(number, 'file')} {verb}" for verb, number in parts if number)
