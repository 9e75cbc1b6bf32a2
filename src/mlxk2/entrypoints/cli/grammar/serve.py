"""The grammar of `mlxk2 serve`."""

import argparse

from mlxk2.entrypoints.cli.grammar.server_options import add_configuration_file, add_server_options

DESCRIPTION = (
    "Start a server that clients of OpenAI's and Anthropic's APIs can point at. Models of the cache are loaded "
    "when they are first asked for, several at once where they fit, each in a process of its own. Every option can "
    "also be set in the environment (--keep-alive is MLXK2_KEEP_ALIVE) and in the configuration file. API keys can "
    "also come from MLXK2_API_KEY, with commas between them. 'server' is another word for serve."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_file(parser)
    add_server_options(parser)
