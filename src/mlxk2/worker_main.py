"""The worker process: `python -P -m mlxk2.worker_main --fd N` serves one MLX model over the socket that it inherits.

Only `adapters/worker` starts it (`WORKER_COMMAND`). What it prints goes to its parent, which keeps the end of it for
error reports.
"""

import argparse
import faulthandler
import socket

from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.adapters.worker.parent_death import end_with_parent
from mlxk2.adapters.worker.serving import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlxk2.worker_main", description="Serve one model to a parent.")
    parser.add_argument("--fd", type=int, required=True, help="the file descriptor of the socket to the parent")
    descriptor: int = parser.parse_args().fd
    faulthandler.enable()
    end_with_parent()
    machine = SystemMachine()
    machine.reuse_memory()  # before there are other threads
    with socket.socket(fileno=descriptor) as sock:
        sock.set_inheritable(False)
        serve(sock, MlxEngineLoader(machine))


if __name__ == "__main__":
    main()
