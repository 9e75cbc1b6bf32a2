"""The grammar of `mlxk2 version`."""

import argparse

DESCRIPTION = "Print the version of the program and of its JSON API."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # it has no options of its own
