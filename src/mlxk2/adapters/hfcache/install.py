"""Bringing a snapshot into the cache, laid out exactly as huggingface_hub does.

The commit's lock is held throughout, so that health says "download in progress" until the end. Order: the commit's
listing, blobs (each under huggingface_hub's own lock for it, and named only when its hash is right), snapshot links,
the ref last: a kill at any moment leaves the model as it was before, or complete, or visibly unfinished.
"""

import os
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout, partial
from mlxk2.adapters.hfcache.fetching import Fetching
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.listings import check_listing, encode, read_listing
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.placing import make_folders, place, real_file
from mlxk2.adapters.hfcache.workshop import Workshop
from mlxk2.ports.cache import COMMIT_LOCK, ListedFile
from mlxk2.ports.errors import AccessProblem, OperationError
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import Delivery, Waiting, Watch


def install(root: str, delivery: Delivery, watch: Watch) -> int:
    """Returns the bytes that came from the source. Raises OperationError when somebody deletes what is being made."""
    check_listing(delivery.listing)
    try:
        return _install(root, delivery, watch)
    except (FileNotFoundError, FileExistsError) as error:
        if not os.path.isdir(root) or (isinstance(error, FileExistsError) and _is_in_the_way(error.filename)):
            raise
        raise OperationError(
            f"A file of {delivery.folder} was deleted by another program while it was pulled; run the same command"
            " again"
        ) from error


def _is_in_the_way(path: str) -> bool:
    """What is not a folder where one is needed, and not just one that came and went."""
    return os.path.lexists(path) and not os.path.isdir(path)


def _install(root: str, delivery: Delivery, watch: Watch) -> int:
    folder, commit = delivery.folder, delivery.commit
    refuse_links(root, folder)
    own_lock = os.path.join(root, layout.LOCKS, folder, f"{commit}{COMMIT_LOCK}.lock")
    with lock(own_lock, waiting=lambda: watch(Waiting(""))):
        model = os.path.join(root, folder)
        snapshot = os.path.join(model, layout.SNAPSHOTS, commit)
        if os.path.islink(snapshot):
            raise AccessProblem(
                f"{folder}/{layout.SNAPSHOTS}/{commit} is a link to another place; remove the link first"
            )
        for part in (layout.BLOBS, layout.SNAPSHOTS):
            os.makedirs(os.path.join(model, part), exist_ok=True)
        workshop = Workshop(os.path.join(root, layout.LOCKS, folder, f"{commit}.tmp"))
        tag = os.path.join(root, layout.CACHEDIR_TAG)
        if not os.path.lexists(tag):
            workshop.write(tag, layout.CACHEDIR_TAG_TEXT.encode())
        listing = sorted(delivery.listing, key=lambda file: file.path)
        if read_listing(model, commit) != tuple(ListedFile(file.path, file.size, file.etag) for file in listing):
            workshop.write(os.path.join(model, layout.TREES, f"{commit}.json"), encode(listing))
        written = Fetching(root, folder, commit, delivery.content, watch)(delivery.files)
        place(model, snapshot, delivery.files, workshop)
        if delivery.ref:
            refs = os.path.join(model, layout.REFS)
            make_folders(refs, os.path.dirname(delivery.ref))
            workshop.write(os.path.join(refs, delivery.ref), commit.encode())
        workshop.close()
    return written


def missing_bytes(root: str, folder: str, commit: str, files: Iterable[SourceFile]) -> int:
    """What the files will still take from the disk; one of the right size takes nothing."""
    model = os.path.join(root, folder)
    snapshot = os.path.join(model, layout.SNAPSHOTS, commit)
    blobs = os.path.join(model, layout.BLOBS)
    pieces = partial.leftovers(blobs)
    distinct = {file.etag: file for file in files}
    return sum(
        max(0, file.size - partial.bytes_there(blobs, file.etag, pieces.get(file.etag, ())))
        for file in distinct.values()
        if not real_file(snapshot, file) and not _has_size(os.path.join(blobs, file.etag), file.size)
    )


def _has_size(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def free_bytes(root: str) -> int:
    """Of the nearest folder that exists."""
    place = root
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    info = os.statvfs(place)
    return info.f_bavail * info.f_frsize
