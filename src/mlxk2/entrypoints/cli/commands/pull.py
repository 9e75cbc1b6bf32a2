"""`mlxk2 pull`."""

import time
from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.names import HubReference, parse_hub_reference
from mlxk2.domain.selection import Wanted
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.pull_model import PullModel, PullOptions, PullResult, PullStatus, UpdateCheck
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import fail
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import Calm, Reporter, reporter
from mlxk2.entrypoints.cli.records import DoneEvent, PullData, UpdateObject
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
            data = _pull(args, reference, services().pull_model(), told)
    except Mlxk2Error as error:
        return fail("pull", error, out, _data(reference, "failed", without_secrets(error.message)))
    if out.jsonl:
        out.event(DoneEvent(data))
    elif out.json:
        out.document(success("pull", data))
    else:
        out.result(data.message)
    return 0


def _pull(args: Namespace, reference: HubReference, pull: PullModel, told: Reporter) -> PullData:
    if args.check_update:
        return _checked(reference, pull.check_update(args.model, args.revision, told.notice))
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
            f"Interrupted; what has been downloaded is kept, go on with: mlxk2 pull {args.model}"
        ) from None
    return _data(reference, result.status.value, _message(result, time.monotonic() - started))


def _data(reference: HubReference, status: str, message: str, update: UpdateObject | None = None) -> PullData:
    expanded = reference.name if reference.typed != reference.name else None
    return PullData(reference.name, status, message, expanded, update)  # type: ignore[arg-type] # the use case's words


def _checked(reference: HubReference, check: UpdateCheck) -> PullData:
    update = UpdateObject(check.available, check.cached, check.on_hub)
    there = check.on_hub[:_SHORT_HASH]
    if check.cached is None:
        return _data(reference, "unknown", f"{check.name} is not in the cache; the Hub has revision {there}", update)
    here = check.cached[:_SHORT_HASH]
    if not check.available:
        return _data(reference, "already_exists", f"{check.name} is up to date (revision {here})", update)
    message = f"{check.name} has a newer revision on the Hub: {there}, the cache has {here}; get it with: mlxk2 pull"
    return _data(reference, "already_exists", f"{message} {reference.typed}", update)


def _message(result: PullResult, seconds: float) -> str:
    revision = f"revision {result.commit[:_SHORT_HASH]}"
    if result.status is PullStatus.ALREADY_EXISTS:
        verified = f"; {human.count(result.verified, 'file')} verified" if result.verified else ""
        return f"{result.name} is already in the cache and healthy ({revision}{verified})"
    change = f", was {result.previous[:_SHORT_HASH]}" if result.previous else ""
    done = f"{human.count(result.verified, 'file')} verified, {size(result.fetched)} fetched in {seconds:.1f} s"
    but = f"; as it is there, health calls it unhealthy: {result.problem}" if result.problem else ""
    return f"{result.name} is in the cache ({revision}{change}; {done}){but}"
