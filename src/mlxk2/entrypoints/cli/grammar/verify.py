"""The grammar of `mlxk2 verify`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import PATTERN_HELP, add_flags, add_reading

DESCRIPTION = (
    "Hash every file of the models in the cache, in all their revisions, and compare it with the hash that its name or "
    "the commit's list of files says; offline, on all cores. What was read is remembered, so that an unchanged file is "
    "not read again before --max-age; Ctrl-C keeps what was done. Exits with status 1 when a model is unhealthy. The "
    "same as health --deep."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", help=f"{PATTERN_HELP}; name@hash checks that revision alone")
    add_flags(parser, (("--verbose", "full names, and the healthy models too when some are unhealthy"),))
    add_reading(parser)
