"""The grammar of `mlxk2 stop`."""

import argparse

from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP, add_flags, add_port

DESCRIPTION = (
    "Unload a model from your running servers, which gives its memory back. The servers go on, and load it again when "
    "it is asked for. To end a server, press Ctrl-C where it runs."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", help=MODEL_HELP)
    add_flags(
        parser,
        (
            ("--all", "unload every model"),
            ("--force", "also a model that is answering; its requests end with an error"),
        ),
    )
    add_port(parser, "only from the server on this port")
