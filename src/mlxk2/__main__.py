"""`python -m mlxk2`: the same door as the `mlxk2` command."""

import sys

from mlxk2.cli import main

if __name__ == "__main__":
    sys.exit(main())
