"""`mlxk2 pull`."""

import time
from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.names import DEMO_NAME, HubReference, parse_hub_reference
from mlxk2.domain.selection import Wanted
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.pull_model import PullModel, PullOptions, PullResult, PullStatus, UpdateCheck
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import fail
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import Calm, Reporter, reporter
from mlxk2.entrypoints.cli.records.transfer import DoneEvent, PullData, UpdateObject
from mlxk2.ports.errors import Interrupted, Mlxk2Error
from mlxk2.ports.hub import Transport
from mlxk2.ports.redaction import without_secrets

_SHORT_HASH = 12


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    reference = parse_hub_reference(args.model, args.revision)
    try:
        with reporter(out) as told:
            if reference.typed != reference.name and not out.json:
                told.notice(f"'{reference.typed}' means {reference.name}")
            data, hint = _pull(args, reference, services().pull_model(), told)
    except Mlxk2Error as error:
        return fail("pull", error, out, _data(reference, "failed", without_secrets(error.message, out.secret)))
    if out.jsonl:
        out.event(DoneEvent(data))
    elif out.json:
        out.document(success("pull", data))
    else:
        out.result(data.message)
        if hint:
            out.note(hint)
    return 0


def _pull(args: Namespace, reference: HubReference, pull: PullModel, told: Reporter) -> tuple[PullData, str]:
    """The result, and the next step for people."""
    if args.check_update:
        return _checked(reference, pull.check_update(args.model, args.revision, told.notice)), ""
    options = PullOptions(
        revision=args.revision,
        wanted=Wanted(tuple(args.include), tuple(args.exclude), args.all_files),
        repair=args.repair,
        transport=Transport(args.transport),
    )
    started = time.monotonic()
    calm = Calm(told)
    try:
        preflight = pull.prepare(args.model, options, calm.notice)
        told.start(preflight)
        result = pull.execute(preflight, calm.watch)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted; what has been downloaded is kept, run the same command again to go on"
        ) from None
    message = _message(result, time.monotonic() - started, reference)
    return _data(reference, result.status.value, message, result=result), _hint(result, reference)


def _data(
    reference: HubReference,
    status: str,
    message: str,
    update: UpdateObject | None = None,
    result: PullResult | None = None,
) -> PullData:
    return PullData(
        model=reference.name,
        download_status=status,  # type: ignore[arg-type] # the use case's words
        message=message,
        expanded_name=reference.name if reference.typed != reference.name else None,
        hash=result.commit if result else None,
        bytes_fetched=result.fetched if result else None,
        update=update,
    )


def _checked(reference: HubReference, check: UpdateCheck) -> PullData:
    update = UpdateObject(check.available, check.cached, check.on_hub)
    there = check.on_hub[:_SHORT_HASH]
    if check.cached is None:
        return _data(reference, "unknown", f"{check.name} is not in the cache; the Hub has revision {there}", update)
    here = check.cached[:_SHORT_HASH]
    if not check.available:
        return _data(reference, "already_exists", f"{check.name} is up to date (revision {here})", update)
    pinned = f"@{reference.revision}" if reference.pinned else ""
    message = (
        f"{check.name} has another revision on the Hub: {there}, the cache has {here};"
        f" get it with: mlxk2 pull {reference.typed}{pinned}"
    )
    return _data(reference, "already_exists", message, update)


def _message(result: PullResult, seconds: float, reference: HubReference) -> str:
    short = result.commit[:_SHORT_HASH]
    revision = f"revision {short}"
    use = f"; use it as {result.name}@{short[:7]}" if reference.pinned and result.name != DEMO_NAME else ""
    if result.status is PullStatus.ALREADY_EXISTS:
        verified = f"; {human.count(result.verified, 'file')} verified" if result.verified else ""
        return f"{result.name} is already in the cache and healthy ({revision}{verified}){use}"
    change = f", was {result.previous[:_SHORT_HASH]}" if result.previous else ""
    done = f"{human.count(result.verified, 'file')} verified, {result.new} of them fetched"
    done += f" ({size(result.fetched)} in {seconds:.1f} s)" if result.fetched else ""
    return f"{result.name} is in the cache ({revision}{change}); {done}{_but(result)}{use}"


def _but(result: PullResult) -> str:
    """What is wrong with a model although its files are all there."""
    if result.problem:
        return f"; as it is there, health calls it unhealthy: {result.problem}"
    return f"; it cannot be run here: {result.cannot_run}" if result.cannot_run else ""


def _hint(result: PullResult, reference: HubReference) -> str:
    if result.status is not PullStatus.SUCCESS or result.problem or result.cannot_run:
        return ""
    name = f"{result.name}@{result.commit[:7]}" if reference.pinned else reference.typed
    return f'Run it with: mlxk2 run {name} "your question"'
