"""The grammar of `mlxk2 doctor`."""

import argparse

DESCRIPTION = (
    "Look at everything that the program stands on: Python and packages, mlx and its device, memory, cache and disk, "
    "the Hub and the token, running servers, and one short answer of the demo model. Each line says ok, warn or fail, "
    "and how to mend it; the exit status is 1 when something fails."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # it has no options of its own
