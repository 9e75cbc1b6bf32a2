"""`health --deep` beside threads that hash the same files and do nothing else, and beside `hf cache verify`.

As many files as the machine has cores, all of one size, in one model; they are in the system's memory after the
warm-up, so that the processor decides and not the disk. `hf cache verify` asks the Hub for the hashes, here the
loopback Hub.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.processes import Contestant, measure, program
from bench.pulling import NAME, served, write_model_folder

FLOATS = 500_000_000
"""Of each file: 2 GB."""
OWN = "mlxk2 health --deep"
THREADS = "hashlib threads, 256 KiB reads"
RIVAL = "hf cache verify"
_HASHING = """
import hashlib, sys, threading
def work(path):
    digest, piece = hashlib.sha256(), memoryview(bytearray(256 * 1024))
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
threads = [threading.Thread(target=work, args=(path,)) for path in sys.argv[1:]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def cores() -> int:
    return os.cpu_count() or 1


@contextmanager
def contestants(base: Path, home: Path) -> Iterator[Sequence[Contestant]]:
    """All of them on one cache, which is pulled first where it is not there; within, the Hub runs."""
    folder = write_model_folder(base / f"verify-{cores()}", shards=cores(), floats=FLOATS)
    cache = base / f"verify-{cores()}-cache"
    with served(folder) as endpoint:
        environ = {
            "HF_ENDPOINT": endpoint,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_CACHE": str(cache),
        }
        measure(Contestant("mlxk2 pull", (program("mlxk2"), "pull", NAME), environ), home)
        files = [str(path.resolve()) for path in sorted(cache.glob("models--*/snapshots/*/*.safetensors"))]
        peers = [
            Contestant(OWN, (program("mlxk2"), "health", "--deep", "--again"), environ),
            Contestant(THREADS, (sys.executable, "-c", _HASHING, *files), environ),
        ]
        rival = Contestant(RIVAL, (program("hf"), "cache", "verify", NAME), environ)
        yield [*peers, rival] if Path(rival.argv[0]).exists() else peers
