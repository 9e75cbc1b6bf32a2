"""The grammar of `mlxk2 prune`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_flags, age

DESCRIPTION = (
    "Free what nothing in the cache uses: revisions that no ref names, blobs that no revision uses, what interrupted "
    "downloads and deletions have left, empty folders, and locks that nobody holds. Shows what would go and asks first "
    "on a terminal; elsewhere it needs --force. What a running download uses is left alone. Exits with status 1 when "
    "nobody can tell what of some model is left over."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=age,
        metavar="AGE",
        default=0.0,
        help="only what has not changed for this long, such as 12h or 30d (default: whatever is left over)",
    )
    parser.add_argument(
        "--keep-last",
        type=_number,
        metavar="N",
        default=0,
        help="keep the N newest revisions of each model, with a ref or without (default: 0; those with one stay)",
    )
    add_flags(
        parser,
        (
            ("--force", "do not ask"),
            ("--dry-run", "show what would be deleted and how many bytes that frees, and delete nothing"),
        ),
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not how many revisions to keep; write 0 or a larger number")
    return int(text)
