"""The store of Xet files that all models share: `<root>/blobs/<xx>/<xet hash>`.

A model's blob may be a link to a payload here. The payload's `.refs` file lists the blobs that use it; every line is
checked against the disk before it is believed, and a missing manifest keeps the payload (a leak is better than a loss).
Nor is a manifest believed that names nobody: a full disk or a copied folder leaves one that is too short, so before a
payload goes, the blobs of the whole cache are looked at for links to it.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.locks import lock, lock_if_free
from mlxk2.adapters.hfcache.trees import sole_bytes
from mlxk2.adapters.reading import read_file

_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_LARGEST_MANIFEST = 64 * 1024 * 1024

BlobLinks = dict[str, set[str]]
"""Blobs, as paths relative to the root, by the name of the payload that they link to."""


def exists(root: str) -> bool:
    """Whether `<root>/blobs` is that store: a real folder, with a marker of a layout version that we know."""
    store = os.path.join(root, layout.BLOBS)
    try:
        marker = read_file(os.path.join(store, layout.SHARED_STORE_MARKER), 8)
    except OSError:
        return False
    return marker == layout.SHARED_STORE_VERSION and not os.path.islink(store)


def target(root: str, blob_path: str) -> str | None:
    """The payload that a blob link points at, or None when it is no link or points anywhere else."""
    try:
        link = os.readlink(blob_path)
    except OSError:
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(blob_path), link))
    return path if path == _payload(root, link) and not os.path.islink(os.path.dirname(path)) else None


def target_of_moved(root: str, blob_path: str) -> str | None:
    """The payload of a blob link that was moved away from its place, by the link's last two parts alone."""
    try:
        return _payload(root, os.readlink(blob_path))
    except OSError:
        return None


def _payload(root: str, link: str) -> str | None:
    name = _payload_name(link)
    return path_of(root, name) if name else None


def _payload_name(link: str) -> str | None:
    name = os.path.basename(link)
    prefix = os.path.basename(os.path.dirname(link))
    return name if layout.XET_HASH.fullmatch(name) and prefix == name[:2] else None


def blob_links(root: str) -> BlobLinks | None:
    """Which blobs of whichever folder are links that end like a payload's path; None when nobody can tell."""
    found: BlobLinks = {}
    try:
        for folder in os.listdir(root):
            if folder not in (layout.BLOBS, layout.LOCKS):
                for name, payload in _links_in(os.path.join(root, folder, layout.BLOBS)):
                    found.setdefault(payload, set()).add(f"{folder}/{layout.BLOBS}/{name}")
    except OSError:
        return None
    return found


def _links_in(blobs: str) -> Iterator[tuple[str, str]]:
    """Name of each link and of the payload that it means."""
    try:
        with os.scandir(blobs) as scan:
            links = [entry for entry in scan if entry.is_symlink()]
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return
        raise
    for entry in links:
        with contextlib.suppress(FileNotFoundError):  # others delete under the reading
            if payload := _payload_name(os.readlink(entry.path)):
                yield entry.name, payload


def is_last_user(root: str, payload: str, leaving: set[str], links: BlobLinks | None) -> bool:
    """Whether no blob but those `leaving` (paths relative to the root) uses the payload."""
    known = users(root, payload, links)
    return known is not None and known <= leaving


def path_of(root: str, name: str) -> str:
    """Where the payload of this name is."""
    return os.path.join(root, layout.BLOBS, name[:2], name)


def payloads(root: str) -> Iterator[str]:
    """Paths of all payloads of the store."""
    return (path for name, path in _entries(root) if layout.XET_HASH.fullmatch(name) and is_payload(path))


def lock_guards(root: str) -> Iterator[str]:
    """Names of payloads that have a lock file, whether they are there or not."""
    names = (name.removesuffix(".lock") for name, _ in _entries(root) if name.endswith(".lock"))
    return (name for name in names if layout.XET_HASH.fullmatch(name))


def _entries(root: str) -> Iterator[tuple[str, str]]:
    """Name and path of whatever stands where payloads do."""
    store = os.path.join(root, layout.BLOBS)
    for prefix in sorted(os.listdir(store)):
        place = os.path.join(store, prefix)
        if layout.XET_PREFIX.fullmatch(prefix) and os.path.isdir(place) and not os.path.islink(place):
            yield from ((name, os.path.join(place, name)) for name in sorted(os.listdir(place)) if name[:2] == prefix)


def release(root: str, payloads: Iterable[str]) -> int:
    """Delete each payload that no blob uses any more, under its own lock; returns the bytes that were freed.

    The lock file goes last, deleted by who holds it.
    """
    freed = 0
    there = [path for path in sorted(set(payloads)) if not os.path.islink(os.path.dirname(path)) and is_payload(path)]
    links = blob_links(root) if there else None
    for payload in there:
        with lock(f"{payload}.lock"):
            known = users(root, payload, links) if is_payload(payload) else None
            if known is not None and not known:
                freed += sole_bytes(os.lstat(payload))
                for path in (payload, f"{payload}.refs", f"{payload}.lock"):
                    if os.path.lexists(path):
                        os.unlink(path)
    return freed


def delete_lock(root: str, name: str) -> None:
    """Of a payload that is gone, unless somebody holds it."""
    path = path_of(root, name)
    with lock_if_free(f"{path}.lock", create=False) as is_free:
        if is_free and not os.path.lexists(path) and not os.path.lexists(f"{path}.refs"):
            os.unlink(f"{path}.lock")


def users(root: str, payload: str, links: BlobLinks | None) -> set[str] | None:
    """Blobs that link to the payload, by its manifest as it is now and by `links`, as `blob_links` has found them.

    None when that cannot be told, for want of a manifest or of permission.
    """
    if links is None:
        return None
    try:
        lines = os.fsdecode(read_file(f"{payload}.refs", _LARGEST_MANIFEST)).splitlines()
        named = {line for line in lines if _is_below(line) and _links_to(os.path.join(root, line), payload)}
    except OSError:
        return None
    return named | links.get(os.path.basename(payload), set())


def _is_below(line: str) -> bool:
    return bool(line) and "\0" not in line and not line.startswith("/") and ".." not in line.split("/")


def _links_to(blob_path: str, payload: str) -> bool:
    """Raises OSError when the blob is there but may not be looked at."""
    try:
        link = os.readlink(blob_path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL):  # gone, or an ordinary file by now
            return False
        raise
    return os.path.normpath(os.path.join(os.path.dirname(blob_path), link)) == payload


def is_payload(path: str) -> bool:
    """A regular file, not a further link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
