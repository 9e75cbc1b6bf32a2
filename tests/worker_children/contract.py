"""A worker that serves the engine with which the memory adapter passes the contract."""

import argparse
import socket

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.worker.serving import serve
from mlxk2.testing.contracts.engine import scripts

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    with socket.socket(fileno=parser.parse_args().fd) as sock:
        serve(sock, MemoryEngineLoader(lambda _: MemoryEngine(scripts.free, structured=scripts.held)))
