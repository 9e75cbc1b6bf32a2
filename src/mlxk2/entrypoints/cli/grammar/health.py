"""The grammar of `mlxk2 health`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import PATTERN_HELP, add_flags, add_reading

DESCRIPTION = (
    "Check the files of the models in the cache, offline: every shard, every header, every link. "
    "Says what is wrong with each unhealthy model."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", help=f"{PATTERN_HELP}; name@hash checks that revision")
    add_flags(
        parser,
        (
            ("--fail", "exit with status 1 when a model is unhealthy"),
            ("--deep", "hash every file of every revision, as verify does; implies --fail"),
            ("--verbose", "full names, and the healthy models too when some are unhealthy"),
        ),
    )
    add_reading(parser, "with --deep: ")
