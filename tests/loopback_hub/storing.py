"""How the Hub decides which files it keeps in LFS, and which it does not want at all."""

from fnmatch import fnmatch
from pathlib import PurePosixPath

_LARGE_KINDS = frozenset({".safetensors", ".gguf", ".bin", ".pth", ".pt", ".npz"})
_LARGEST_REGULAR_FILE = 10_000_000


def is_large(path: str, size: int) -> bool:
    return PurePosixPath(path).suffix in _LARGE_KINDS or size > _LARGEST_REGULAR_FILE


def is_ignored(path: str, gitignore: str) -> bool:
    """The everyday patterns of a .gitignore file: names, folders, wildcards; no exceptions to them."""
    for line in gitignore.splitlines():
        pattern = line.strip().strip("/")
        if pattern and not pattern.startswith("#"):
            parts = PurePosixPath(path).parts
            beginnings = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
            if any(fnmatch(name, pattern) for name in (*parts, *beginnings)):
                return True
    return False
