"""The grammar of `mlxk2 completion`."""

import argparse

SHELLS = ("bash", "zsh")
DESCRIPTION = (
    "Print the script that lets a shell complete commands, options, and the models in the cache. For bash, put "
    'eval "$(mlxk2 completion bash)" into ~/.bashrc; for zsh, put eval "$(mlxk2 completion zsh)" into ~/.zshrc, after '
    "the line with compinit."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="whose script: bash or zsh")
