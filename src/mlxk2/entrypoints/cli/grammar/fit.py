"""The grammar of `mlxk2 fit`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP

DESCRIPTION = (
    "Say whether a model will run here: what its weights and the keys and values of a context take, and what this "
    "machine has for them. Works for models in the cache, and for models on the Hub before they are downloaded."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=MODEL_HELP)
    parser.add_argument(
        "--context",
        type=int,
        metavar="N",
        help="a context of so many tokens, prompt and answer together (default: the model's whole context)",
    )
