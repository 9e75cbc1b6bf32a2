"""A model of 2 GB on a loopback Hub in a process of its own, to be downloaded."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import CommandFailed

NAME = "mlx-community/Bench-2GB"
_PIECE = 4_000_000
_ROOT = Path(__file__).parent.parent


def model_folder(base: Path) -> Path:
    """A healthy MLX model with four shards of 500 MB of random numbers."""
    return write_model_folder(base / "pull-2gb", shards=4, floats=125_000_000)


def write_model_folder(folder: Path, shards: int, floats: int) -> Path:
    """A healthy MLX model with shards of so many random numbers each, written when it is not there yet."""
    done = folder.with_suffix(".done")
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"model-{number + 1:05d}-of-{shards:05d}.safetensors" for number in range(shards)]
        for number, name in enumerate(names):
            _write_shard(folder / name, f"weight{number}", floats)
        weight_map = {f"weight{number}": name for number, name in enumerate(names)}
        documents: dict[str, object] = {
            "model.safetensors.index.json": {"metadata": {}, "weight_map": weight_map},
            "config.json": {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
            "tokenizer.json": {"version": "1.0", "model": {"type": "BPE"}},
            "tokenizer_config.json": {"chat_template": "{{ messages }}"},
        }
        for path, document in documents.items():
            (folder / path).write_text(json.dumps(document))
        done.touch()
    return folder


def _write_shard(path: Path, tensor: str, floats: int) -> None:
    length = 4 * floats
    shape = {"dtype": "F32", "shape": [floats], "data_offsets": [0, length]}
    header = json.dumps({"__metadata__": {"format": "mlx"}, tensor: shape}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(length // _PIECE):
            file.write(os.urandom(_PIECE))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a Hub that has the folder as its one model."""
    argv = (sys.executable, "-m", "tests.loopback_hub", "--model", NAME, "--dir", str(folder))
    with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            endpoint = server.stdout.readline().strip() if server.stdout else ""
            if not endpoint:
                raise CommandFailed("the loopback Hub did not start; install the project with its test extra")
            yield endpoint
        finally:
            server.terminate()
