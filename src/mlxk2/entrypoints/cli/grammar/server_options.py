"""The server's options as flags of a command. Part of the grammar: imports argparse and the list of options only."""

import argparse
from typing import Any

from mlxk2.configuration.options import FILE_VARIABLE, GROUPS, OPTIONS, Option


def add_configuration_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"configuration file (default: {FILE_VARIABLE}, else ~/.config/mlxk2/config.toml if it exists)",
    )


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Values stay text here: they are read together with those of the environment and the file."""
    for title, text in GROUPS.items():
        group = parser.add_argument_group(title, text)
        for option in OPTIONS:
            if option.group == title and not option.is_secret:
                _add_option(group, option)


def _add_option(group: argparse._ArgumentGroup, option: Option[Any]) -> None:
    if option.kind.is_flag:
        group.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=option.help)
        return
    ending = " (repeatable)" if option.kind.is_list else f" (default: {option.shown_default})"
    group.add_argument(
        option.flag,
        action="append" if option.kind.is_list else "store",
        metavar=option.kind.metavar,
        help=option.help + ending,
    )
