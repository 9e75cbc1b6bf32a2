"""The grammar of `mlxk2 logs`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_port

DESCRIPTION = "Show what your server has logged: the one that was started last, also when it has ended."
USUAL_LINES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what it logs from now, until Ctrl-C")
    parser.add_argument(
        "-n",
        "--lines",
        type=int,
        default=USUAL_LINES,
        metavar="N",
        help=f"so many lines from the end (default: {USUAL_LINES})",
    )
    add_port(parser, "the server on this port")
