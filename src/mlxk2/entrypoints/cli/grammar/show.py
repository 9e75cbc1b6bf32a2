"""The grammar of `mlxk2 show`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP, add_flags

DESCRIPTION = (
    "Show one model: size, type, health, whether the installed mlx-lm can run it, and the numbers of its config."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=MODEL_HELP)
    add_flags(parser, (("--files", "list the files of the snapshot"), ("--config", "print config.json")))
