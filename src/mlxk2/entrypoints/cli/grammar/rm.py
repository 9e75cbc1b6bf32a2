"""The grammar of `mlxk2 rm`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP, add_flags

DESCRIPTION = (
    "Delete a model, or with name@hash one revision of it, from the cache. Asks first on a terminal; elsewhere it "
    "needs --force. A glob such as 'test-*' deletes every match and needs --force too."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=f"{MODEL_HELP}, or a glob")
    add_flags(
        parser,
        (
            ("--force", "do not ask, and delete even while another process holds locks of the model"),
            ("--dry-run", "show what would be deleted and how many bytes that frees, and delete nothing"),
        ),
    )
