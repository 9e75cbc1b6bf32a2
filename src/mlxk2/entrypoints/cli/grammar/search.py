"""The grammar of `mlxk2 search`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_flags

DESCRIPTION = (
    "Look for models on the Hugging Face Hub: those of mlx-community first, then others for MLX, with the size of "
    "their weights and whether they fit into this machine's memory."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", help="words of the model's name")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="most models to show, 1 to 500 (default: 20)"
    )
    add_flags(parser, (("--all", "also models that are not made for MLX"),))
