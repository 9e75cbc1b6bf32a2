"""The store of Xet files that all models share: `<root>/blobs/<xx>/<xet hash>`.

A model's blob may be a link to a payload here. The payload's `.refs` file lists the blobs that use it; every line is
checked against the disk before it is believed, and a missing manifest keeps the payload (a leak is better than a loss).
"""

import os
import stat
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.locks import lock


def exists(root: str) -> bool:
    """Whether `<root>/blobs` is that store: its marker must be there and of a layout version that we know."""
    try:
        with open(os.path.join(root, layout.BLOBS, layout.SHARED_STORE_MARKER), encoding="utf-8") as file:
            return file.read(8) == layout.SHARED_STORE_VERSION
    except (OSError, UnicodeDecodeError):
        return False


def target(root: str, blob_path: str) -> str | None:
    """The payload that a blob link points at, or None when it is no link or points anywhere else."""
    try:
        link = os.readlink(blob_path)
    except OSError:
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(blob_path), link))
    parent, name = os.path.split(path)
    expected = os.path.join(root, layout.BLOBS, name[:2])
    return path if parent == expected and layout.XET_HASH.fullmatch(name) and not os.path.islink(parent) else None


def is_last_user(root: str, payload: str, leaving: set[str]) -> bool:
    """Whether no blob but those `leaving` (paths relative to the root) uses the payload."""
    users = _users(root, payload)
    return users is not None and users <= leaving


def release(root: str, payloads: Iterable[str]) -> None:
    """Delete each payload that no blob uses any more, under its own lock."""
    for payload in sorted(set(payloads)):
        with lock(f"{payload}.lock"):
            users = _users(root, payload)
            if users is not None and not users:
                for path in (payload, f"{payload}.refs"):
                    if os.path.lexists(path):
                        os.unlink(path)


def _users(root: str, payload: str) -> set[str] | None:
    try:
        with open(f"{payload}.refs", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    return {line for line in lines if line and target(root, os.path.join(root, line)) == payload}


def is_payload(path: str) -> bool:
    """A regular file, not a further link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
