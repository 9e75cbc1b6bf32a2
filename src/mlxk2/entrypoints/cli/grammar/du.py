"""The grammar of `mlxk2 du`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import PATTERN_HELP, add_flags

DESCRIPTION = (
    "Show what takes the space in the cache, by model and revision, the largest first. OWN is what deleting it would "
    "free; SHARED is used by others as well, and counts once in the sums."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", help=PATTERN_HELP)
    add_flags(parser, (("--verbose", "full names, every revision, and which models share files"),))
