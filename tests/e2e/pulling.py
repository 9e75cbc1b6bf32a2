"""What the tests of `pull` share: models worth a download, and a look at the cache that trusts nobody."""

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlxk2.adapters.hfcache import HfCache
from mlxk2.domain.inspection import Inspector
from mlxk2.testing import MemoryCatalogue
from mlxk2.testing.models import CONFIG, TOKENIZER_CONFIG
from tests.loopback_hub import LoopbackHub

NAME = "org/model"
FOLDER = "models--org--model"
TOKEN = "hf_secretSecretSecretSecretSecret42"  # noqa: S105 - of nobody
IN_PROGRESS = "download in progress"
OWN_PARTIAL = ".6d6c786b.incomplete"
TEXTS: Mapping[str, bytes] = {
    "README.md": b"---\nlibrary_name: mlx\n---\n# model\n",
    "config.json": json.dumps(CONFIG).encode(),
    "tokenizer.json": b'{"version": "1.0", "model": {"type": "BPE"}}',
    "tokenizer_config.json": json.dumps(TOKENIZER_CONFIG).encode(),
}


def noise(size: int, seed: str = "") -> bytes:
    """The same bytes every time, and no two alike for long."""
    return hashlib.shake_128(f"noise {seed}".encode()).digest(size)


def weights(size: int, name: str = "weight") -> bytes:
    """A safetensors file of about `size` bytes."""
    count = size // 4
    header = {
        "__metadata__": {"format": "mlx"},
        name: {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + noise(4 * count, name)


def shards(*sizes: int) -> dict[str, bytes]:
    """Weights in several files, with their index."""
    names = [f"model-{number:05d}-of-{len(sizes):05d}.safetensors" for number in range(1, len(sizes) + 1)]
    index = {"metadata": {}, "weight_map": {f"weight{number}": name for number, name in enumerate(names)}}
    files = {
        name: weights(size, f"weight{number}") for number, (name, size) in enumerate(zip(names, sizes, strict=True))
    }
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def small_model(size: int = 300_000) -> dict[str, bytes]:
    """A healthy chat model in one file of weights."""
    return {**TEXTS, "model.safetensors": weights(size)}


def total(files: Mapping[str, bytes]) -> int:
    return sum(len(content) for content in files.values())


def etag(path: str, content: bytes) -> str:
    """The name of a file's blob, by the Hub's rules as written down in its documentation."""
    if path.endswith((".safetensors", ".bin", ".gguf", ".pth")):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def reasons(root: Path) -> dict[str, str | None]:
    """What health says of every model at this moment, as `list` and `health` do: None for a healthy one."""
    inspector = Inspector(HfCache(str(root)), MemoryCatalogue())
    return {summary.name: summary.health.reason for summary in inspector.judge_all(None)}


def wrong_blobs(root: Path) -> list[str]:
    """Blobs of the model whose content is not what their name says."""
    blobs = root / FOLDER / "blobs"
    names = [name for name in os.listdir(blobs) if not name.endswith(".incomplete")] if blobs.is_dir() else []
    return [name for name in names if name not in _names_of((blobs / name).read_bytes())]


def _names_of(content: bytes) -> tuple[str, str]:
    git = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    git.update(content)
    return hashlib.sha256(content).hexdigest(), git.hexdigest()


def snapshot_of(root: Path, commit: str | None = None) -> dict[str, bytes]:
    """The files of a revision as a program reads them, by default of the one that main names."""
    commit = commit or (root / FOLDER / "refs" / "main").read_text()
    folder = root / FOLDER / "snapshots" / commit
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


def partials(root: Path) -> list[str]:
    """Blobs that are not finished, by the names of their partial files."""
    return sorted(path.name.partition(".")[0] for path in (root / FOLDER / "blobs").glob("*.incomplete"))


def until(condition: Callable[[], object], seconds: float = 20.0, every: float = 0.005) -> None:
    """Wait for something that another process or thread will bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(every)


@contextmanager
def no_thread_left() -> Iterator[None]:
    """Afterwards every thread that was started within has ended, and so has its last request."""
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)


def sent_to_storage_with_a_token(hub: LoopbackHub) -> list[str]:
    """Requests to the storage server that carried a token of the Hub."""
    return [request.path for request in hub.requests if request.port == "cdn" and request.has_authorization]


@dataclass(frozen=True)
class Started:
    """A process that goes on while the test looks; its output goes into files, so that it never has to wait."""

    process: subprocess.Popen[str]
    out: Path
    err: Path

    def finish(self, seconds: float = 60.0) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        return self.process.wait(seconds), self.out.read_text(), self.err.read_text()


def start(argv: Sequence[str | Path], env: Mapping[str, str], folder: Path) -> Started:
    """`folder` takes the files with the output."""
    number = len(list(folder.glob("*.out")))
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    with out.open("w") as output, err.open("w") as errors:
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, text=True)
    return Started(process, out, err)
