"""The grammar of `mlxk2 ps`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_jsonl, add_port

DESCRIPTION = (
    "Show the models that your running servers have in memory: what each takes, its requests, its speed, and when it "
    "will be unloaded."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_port(parser, "only the server on this port")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=1.0,
        metavar="SECONDS",
        help="look again every so many seconds (default: 1), until Ctrl-C; on a terminal in place",
    )
    add_jsonl(parser)
