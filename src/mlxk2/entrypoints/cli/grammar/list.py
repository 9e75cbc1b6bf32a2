"""The grammar of `mlxk2 list`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import PATTERN_HELP, add_flags

DESCRIPTION = (
    "List the models in the Hugging Face cache, one row each: name, revision, size, last change and type. "
    "MLX models only, unless --all or --framework is given; with --json always all of them. Filters, --sort and "
    "--limit hold for every form of the result, --json too."
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
    _add_filters(parser)
    _add_order(parser)
    parser.add_argument(
        "--format",
        choices=("table", "csv", "names"),
        metavar="FORM",
        help="table; csv, with a header, bytes and times in UTC; or names, one a line for xargs (default: table)",
    )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--framework",
        type=str.lower,
        choices=("mlx", "gguf", "pytorch", "unknown"),
        metavar="NAME",
        help="only models of this framework: mlx, gguf, pytorch or unknown",
    )
    parser.add_argument(
        "--type",
        type=str.lower,
        choices=("chat", "embedding", "base", "unknown"),
        metavar="NAME",
        help="only models of this type: chat, embedding, base or unknown",
    )
    health = parser.add_mutually_exclusive_group()
    health.add_argument("--healthy", dest="healthy", action="store_true", default=None, help="only healthy models")
    health.add_argument("--unhealthy", dest="healthy", action="store_false", help="only models that are not healthy")


def _add_order(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sort",
        choices=("name", "size", "modified", "used"),
        default="name",
        metavar="KEY",
        help="name; size, the largest first; modified, the latest first; or used, the last read first, as far as the "
        "file system keeps account of reading (default: name)",
    )
    add_flags(parser, (("--reverse", "the other way round"),))
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N of them")
