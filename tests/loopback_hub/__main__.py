"""Serves a folder as one model until it is terminated; the only line of output is the endpoint.

`python -m tests.loopback_hub --model org/model --dir DIR`, from the root of the project. Benchmarks use it.
"""

import argparse
import signal
import sys
from pathlib import Path

from . import LoopbackHub


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.loopback_hub", description=__doc__)
    parser.add_argument("--model", required=True, help="id of the model, such as org/model")
    parser.add_argument("--dir", required=True, type=Path, help="folder with its files")
    parser.add_argument("--port", type=int, default=0, help="port of the endpoint; by default any that is free")
    parser.add_argument("--xet", action="store_true", help="offer the files through Xet as well")
    arguments = parser.parse_args()
    folder: Path = arguments.dir
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with LoopbackHub(arguments.port) as hub:
        hub.add_model(arguments.model, files, xet=arguments.xet)
        sys.stdout.write(f"{hub.endpoint}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
