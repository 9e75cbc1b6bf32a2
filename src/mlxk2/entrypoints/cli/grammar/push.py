"""The grammar of `mlxk2 push`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import add_flags

DESCRIPTION = (
    "Upload a folder as a model to the Hugging Face Hub, in one commit that holds only what changed. Caches, "
    "virtual environments, version control and secrets stay at home, and so does what .hfignore names; a file that "
    "looks as if it holds a token or a private key stops the push. Who may read the repo must be said: --private "
    "or --public is required, except with --check-only."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="the folder to upload")
    parser.add_argument("model", help="org/model, the repo on the Hub")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument(
        "--private",
        action="store_true",
        help="for a private repo; a public one is refused",
    )
    visibility.add_argument("--public", action="store_true", help="for a public repo")
    parser.add_argument("--branch", default="main", metavar="NAME", help="branch to commit to (default: main)")
    parser.add_argument("--commit", metavar="MESSAGE", help="message of the commit (default: Upload MODEL with mlxk2)")
    add_flags(
        parser,
        (
            ("--create", "make the repo, and the branch, when they do not exist"),
            ("--delete", "also delete files of the repo that are not in the folder"),
            ("--check-only", "check the folder without any network; --verbose lists what would go along"),
            ("--dry-run", "show what would be added, changed and deleted, and upload nothing"),
            ("--verbose", "name every file that goes along, changes or stays at home"),
        ),
    )
