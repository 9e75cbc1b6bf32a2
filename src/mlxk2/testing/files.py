"""Contents of model files: small, and valid to the last byte."""

import json
from collections.abc import Mapping


def safetensors(format_name: str | None = "mlx", tensors: Mapping[str, int] | None = None) -> bytes:
    """A complete file of float32 vectors of the given lengths (default: one of four numbers)."""
    header: dict[str, object] = {} if format_name is None else {"__metadata__": {"format": format_name}}
    end = 0
    for name, length in (tensors or {"weight": 4}).items():
        header[name] = {"dtype": "F32", "shape": [length], "data_offsets": [end, end + 4 * length]}
        end += 4 * length
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + bytes(end)


def gguf(version: int = 3, tensors: int = 1) -> bytes:
    """A GGUF header with that many tensors announced and a little data behind it."""
    return b"GGUF" + version.to_bytes(4, "little") + tensors.to_bytes(8, "little") + bytes(8) + b"data" * 8


def lfs_pointer(size: int = 1_000_000) -> bytes:
    """What git leaves in place of a large file when LFS is not installed."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize {size}\n".encode()


def document(value: object) -> bytes:
    """A JSON file."""
    return json.dumps(value).encode()
