"""The grammar of `mlxk2 pull`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_flags, add_jsonl

DESCRIPTION = (
    "Download a model from the Hugging Face Hub into the cache, or install the demo model, which ships with the "
    "program. Goes on where an earlier pull was interrupted, checks the hash of every file, and fetches only what "
    "is missing or damaged. Of several formats of the same weights it takes the one that MLX reads."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="org/model, a bare name (it means mlx-community/name), or 'demo'; with @revision")
    parser.add_argument(
        "--revision", metavar="REV", help="branch, tag or commit to pull, like model@REV (default: main)"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="only files that match, instead of what MLX needs (repeatable)",
    )
    choice.add_argument("--all-files", action="store_true", help="every file, all formats of the weights included")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="no files that match (repeatable)"
    )
    add_flags(
        parser,
        (
            ("--repair", "check the content of every file of a model that looks whole, and fetch the damaged ones"),
            ("--check-update", "tell whether the Hub has another revision than the cache; download nothing"),
        ),
    )
    parser.add_argument(
        "--transport",
        choices=("http", "xet"),
        default="http",
        help="how the bytes travel: parallel HTTP ranges, or the Xet protocol of hf_xet (default: http)",
    )
    add_jsonl(parser)
