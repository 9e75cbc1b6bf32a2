"""`mlxk2 fit`: whether a model will run here."""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.entrypoints.cli import fit_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    found = services().fit_model()(args.model, args.context, out.note)
    if out.json:
        out.document(success("fit", fit_view.data(found)))
    else:
        fit_view.show(found, out)
    return 0 if fit_view.runs_here(found) else 1
