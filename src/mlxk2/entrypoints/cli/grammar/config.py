"""The grammar of `mlxk2 config`."""

import argparse

from mlxk2.entrypoints.cli.grammar.server_options import add_configuration_file

DESCRIPTION = (
    "Show what serve would be told without any flag: every option with its value, and whether that comes from the "
    "environment, the configuration file or the defaults. Keys are never shown."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_file(parser)
