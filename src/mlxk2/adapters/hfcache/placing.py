"""Giving a commit's files their places in its snapshot: a link to each blob, or the file itself where links cannot be.

A file system without symbolic links (exFAT) gets what huggingface_hub makes there: real files in the snapshot, and no
blobs. Real files that are there already, and right, stay as they are.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.workshop import Workshop
from mlxk2.ports.sources import SourceFile

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def pointer_of(snapshot: str, file: SourceFile) -> str:
    return os.path.join(snapshot, *file.path.split("/"))


def plain_file(pointer: str, size: int) -> bool:
    """Whether a real file of this size stands where a link is expected."""
    try:
        return not os.path.islink(pointer) and os.path.isfile(pointer) and os.path.getsize(pointer) == size
    except OSError:
        return False


def place(model: str, snapshot: str, files: Iterable[SourceFile], workshop: Workshop) -> None:
    """Every file's blob is in `blobs/` and right, or the file itself is in the snapshot and right."""
    chosen = tuple(files)
    users = Counter(file.etag for file in chosen)
    for file in chosen:
        users[file.etag] -= 1
        blob = os.path.join(model, layout.BLOBS, file.etag)
        if not os.path.lexists(blob):
            continue
        pointer = pointer_of(snapshot, file)
        _make_folders(snapshot, os.path.dirname(file.path))
        if _link(pointer, file, workshop):
            continue
        if users[file.etag]:
            workshop.copy(pointer, blob)
        else:
            os.replace(blob, pointer)


def _link(pointer: str, file: SourceFile, workshop: Workshop) -> bool:
    """Make the link; returns whether the file system has links."""
    goal = "../" * (file.path.count("/") + 2) + f"{layout.BLOBS}/{file.etag}"
    if os.path.islink(pointer) and os.readlink(pointer) == goal:
        return True
    try:
        workshop.link(pointer, goal)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def _make_folders(snapshot: str, below: str) -> None:
    """The folders of a nested file; a link in their place would lead out and is taken away."""
    os.makedirs(snapshot, exist_ok=True)
    place = snapshot
    for part in below.split("/") if below else ():
        place = os.path.join(place, part)
        if os.path.islink(place):
            os.unlink(place)
        os.makedirs(place, exist_ok=True)
