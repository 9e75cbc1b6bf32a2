"""Giving a commit's files their places in its snapshot: a link to each blob, or the file itself where links cannot be.

A file system without symbolic links (exFAT) gets what huggingface_hub makes there: real files in the snapshot, and no
blobs. Real files that are there already, and right, stay as they are.
"""

import errno
import os
from collections import defaultdict
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.workshop import Workshop
from mlxk2.ports.errors import OperationError
from mlxk2.ports.sources import SourceFile

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def pointer_of(snapshot: str, file: SourceFile) -> str:
    return os.path.join(snapshot, *file.path.split("/"))


def real_file(snapshot: str, file: SourceFile) -> str | None:
    """Where a real file of the right size stands in the snapshot; None when a link is anywhere on the way."""
    place = snapshot
    for part in file.path.split("/"):
        if os.path.islink(place):
            return None
        place = os.path.join(place, part)
    return place if is_real(place, file.size) else None


def is_real(path: str, size: int) -> bool:
    """A regular file of this size, and no link."""
    try:
        return not os.path.islink(path) and os.path.isfile(path) and os.path.getsize(path) == size
    except OSError:
        return False


def make_folders(base: str, below: str) -> None:
    """The folders of a nested name; a link in their place would lead out and is taken away."""
    os.makedirs(base, exist_ok=True)
    place = base
    for part in below.split("/") if below else ():
        place = os.path.join(place, part)
        if os.path.islink(place):
            os.unlink(place)
        os.makedirs(place, exist_ok=True)


def place(model: str, snapshot: str, files: Iterable[SourceFile], workshop: Workshop) -> None:
    """Every file's blob is in `blobs/` and right, or a real file with its content is in the snapshot and right.

    Raises OperationError when somebody has taken a blob away meanwhile.
    """
    alike: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        alike[file.etag].append(file)
    for etag, group in alike.items():
        blob = os.path.join(model, layout.BLOBS, etag)
        if os.path.lexists(blob):
            _place_blob(snapshot, group, blob, workshop)
        else:
            _place_copies(snapshot, group, workshop)


def _place_blob(snapshot: str, group: list[SourceFile], blob: str, workshop: Workshop) -> None:
    for number, file in enumerate(group, start=1):
        pointer = pointer_of(snapshot, file)
        make_folders(snapshot, os.path.dirname(file.path))
        if _link(pointer, file, workshop):
            continue
        if number < len(group):
            workshop.copy(pointer, blob)
        else:
            os.replace(blob, pointer)


def _place_copies(snapshot: str, group: list[SourceFile], workshop: Workshop) -> None:
    there = {file.path: path for file in group if (path := real_file(snapshot, file))}
    if not there:
        raise OperationError(
            f"{group[0].path} was deleted by another program while it was pulled; run the same command again"
        )
    for file in group:
        if file.path not in there:
            make_folders(snapshot, os.path.dirname(file.path))
            workshop.copy(pointer_of(snapshot, file), next(iter(there.values())))


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
