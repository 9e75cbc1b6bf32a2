"""A worker without a model: serves a MemoryEngine whose script does what the prompt says, good or bad.

The location says how loading goes: well, or as its name says, which may be for a certain worker only, or from a certain
one on: `exit-at:2` lets the second worker exit. A prompt that demands something leaves the file that WORKER_MARK names.
"""

import argparse
import ctypes
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.worker.parent_death import end_with_parent
from mlxk2.adapters.worker.serving import serve
from mlxk2.ports.engine import Engine, Loading, LoadOptions, Watch, unwatched
from mlxk2.ports.errors import NotEnoughMemory

UNLUCKY = {"RuntimeError": RuntimeError("no such luck"), "SystemExit": SystemExit("no such luck")}


def obey(prompt: str) -> str:
    """The script: the answer, or what the prompt demands in its place."""
    word, _, rest = prompt.partition(" ")
    if word.startswith("!") and "WORKER_MARK" in os.environ:
        Path(os.environ["WORKER_MARK"]).touch()
    match word:
        case "!signal":
            os.kill(os.getpid(), getattr(signal, rest))
            threading.Event().wait()
        case "!exit":
            os._exit(int(rest))
        case "!hang":
            threading.Event().wait()
        case "!endless":
            return "x" * 10**6
        case "!native":
            ctypes.PyDLL(None).sleep(3600)
        case "!print":
            for stream in (sys.stdout, sys.stderr):
                stream.write("blah " * 200_000 + os.path.expandvars(rest) + "\n")
                stream.flush()
        case "!fail":
            raise RuntimeError(rest)
    return f"You asked: {prompt}"


class Loader:
    """`EngineLoader`, obeying the location."""

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> Engine:
        word, _, rest = os.path.basename(location).partition(":")
        match word:
            case "refuse":
                raise NotEnoughMemory("Too large: take a smaller one", needed_bytes=9, limit_bytes=4)
            case "raise":
                raise UNLUCKY[rest]
            case "exit":
                sys.stderr.write("about to exit\n")
                os._exit(7)
            case "hang":
                watch(Loading("thinking about it"))
                threading.Event().wait()
            case "hang-from" if _count() >= int(rest):
                threading.Event().wait()
            case "exit-from" if _count() >= int(rest):
                os._exit(7)
            case "exit-at" if _count() == int(rest):
                os._exit(7)
        return MemoryEngineLoader(Obeying(obey)).load(location, options, watch)


class Obeying(MemoryEngine):
    """Obeys a text, too, before it makes tokens of it."""

    def tokenize(self, text: str) -> list[int]:
        word, _, rest = text.partition(" ")
        if word == "!raise":
            raise UNLUCKY[rest]
        while word == "!until" and not os.path.exists(rest):
            threading.Event().wait(0.01)
        return super().tokenize(text)


def _count() -> int:
    """How many workers have begun to load, this one included; written down in the file that WORKER_COUNTS names."""
    file = Path(os.environ["WORKER_COUNTS"])
    with file.open("a", encoding="ascii") as lines:
        lines.write(f"{os.getpid()}\n")
    return len(file.read_text("ascii").splitlines())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--unbound", action="store_true", help="as where no kernel ends it with its parent")
    arguments = parser.parse_args()
    if not arguments.unbound:
        end_with_parent()
    with socket.socket(fileno=arguments.fd) as sock:
        serve(sock, Loader(), beat_seconds=0.05)


if __name__ == "__main__":
    main()
