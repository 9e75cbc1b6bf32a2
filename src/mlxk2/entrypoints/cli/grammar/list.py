"""The grammar of `mlxk2 list`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import PATTERN_HELP, add_flags

DESCRIPTION = (
    "List the models in the Hugging Face cache, one row each: name, revision, size, last change and type. "
    "MLX models only, unless --all is given; with --json always all of them."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", help=PATTERN_HELP)
    add_flags(
        parser,
        (
            ("--all", "also show models of other frameworks, with a column that names theirs"),
            ("--health", "add a column with the verdict on the model's files"),
            ("--verbose", "full names, and why a model is unhealthy or cannot run"),
        ),
    )
