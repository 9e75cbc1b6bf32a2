"""A worker that serves the engine with which the memory adapter passes the contract."""

import argparse
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contracts.test_engine import answer, held

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.worker.serving import serve


def endless_backwards(prompt: str) -> str:
    """Prompts that the contract turns round are answered at length, so that a cancellation finds them unfinished."""
    return answer("forever" if "eulb yks" in prompt else prompt)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    with socket.socket(fileno=parser.parse_args().fd) as sock:
        serve(sock, MemoryEngineLoader(lambda _: MemoryEngine(endless_backwards, structured=held)))
