"""`mlxk2 stop`: a model out of the memory of the servers that have it."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.domain.names import printable
from mlxk2.domain.usecases.unload_model import Unloaded
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.running import StopData, UnloadedObject
from mlxk2.ports.errors import UsageError

_SHORT_HASH = 7


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if args.all == (args.model is not None):
        raise UsageError("name the model to unload, or say --all; see what is loaded with: mlxk2 ps")
    unload = services().unload_model()
    gone = (
        unload.all(port=args.port, force=args.force)
        if args.all
        else unload(args.model, port=args.port, force=args.force)
    )
    if out.json:
        out.document(success("stop", StopData([_object(one) for one in gone], len(gone))))
        return 0
    for one in gone:
        revision = one.revision[:_SHORT_HASH]
        out.result(f"Unloaded {printable(one.model)} ({revision}) from the server on port {one.server.port}")
    if not gone:
        out.note("No model was loaded")
    return 0


def _object(one: Unloaded) -> UnloadedObject:
    return UnloadedObject(name=one.model, hash=one.revision, port=one.server.port)
