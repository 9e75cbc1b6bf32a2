"""`mlxk2 config`: every option of the server, its value, and where that comes from."""

from argparse import Namespace
from collections.abc import Callable
from typing import Literal, cast

from mlxk2.configuration.file import usual_place
from mlxk2.configuration.reading import Configuration, Setting, read_configuration
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.human import table
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.server import ConfigData, OptionObject

_HEADER = ("option", "value", "from")


def execute(args: Namespace, _services: Callable[[], Services], out: Output) -> int:
    configuration = read_configuration(args.environ, file=args.config)
    usual = usual_place(args.environ)
    if out.json:
        options = [_object(setting) for setting in configuration.settings]
        out.document(success("config", ConfigData(configuration.file, usual, options)))
        return 0
    rows = [_row(setting) for setting in configuration.settings]
    for line in table(_HEADER, rows, width=None, right=frozenset()):
        out.result(line)
    out.result("")
    out.result(_about_the_file(configuration, usual))
    return 0


def _row(setting: Setting) -> tuple[str, str, str]:
    option = setting.option
    origin = option.variable if setting.source == "environment" else setting.source
    return option.name, _shown(setting), origin


def _shown(setting: Setting) -> str:
    if setting.option.is_secret:
        return "set" if setting.value else "not set"
    return setting.option.kind.show(setting.value) or "none"


def _about_the_file(configuration: Configuration, usual: str) -> str:
    if configuration.file:
        return f"The file is {configuration.file}."
    return f"There is no file; it would be {usual}, with the options below a line [serve]."


def _object(setting: Setting) -> OptionObject:
    value = list(setting.value) if isinstance(setting.value, tuple) else setting.value
    return OptionObject(
        name=setting.option.name,
        variable=setting.option.variable,
        value=None if setting.option.is_secret else value,
        source=cast("Literal['environment', 'file', 'default']", setting.source),  # no flags were given
    )
