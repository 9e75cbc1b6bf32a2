"""`mlxk2 pull`."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.usecases.pull_model import PullResult, PullStatus
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records import PullData


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    result = services().pull_model()(args.model)
    if out.json:
        typed = args.model.partition("@")[0]
        expanded = result.name if typed != result.name else None
        out.document(success("pull", PullData(result.name, result.status.value, _message(result), expanded)))
    else:
        out.result(_message(result))
    return 0


def _message(result: PullResult) -> str:
    if result.status is PullStatus.ALREADY_EXISTS:
        return f"{result.name} is already in the cache and healthy"
    return f"{result.name} is in the cache ({human.size(result.written)} written)"
