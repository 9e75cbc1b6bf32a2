"""Bringing a snapshot into the cache, laid out exactly as huggingface_hub does.

The commit's lock is held throughout, so that health says "download in progress" until the end. Order: the commit's
listing, blobs (each under huggingface_hub's own lock for it, and named only when its hash is right), snapshot links,
the ref last: a kill at any moment leaves the model as it was before, or complete, or visibly unfinished.
"""

import json
import os
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout, partial
from mlxk2.adapters.hfcache.fetching import Fetching
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.placing import place, plain_file, pointer_of
from mlxk2.adapters.hfcache.snapshot import read_listing
from mlxk2.adapters.hfcache.workshop import Workshop
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import Checked, Delivery, Waiting, Watch


def install(root: str, delivery: Delivery, watch: Watch) -> int:
    """Returns the bytes that came from the source."""
    for file in delivery.listing:
        _check(file)
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
        if read_listing(model, commit) is None:
            workshop.write(os.path.join(model, layout.TREES, f"{commit}.json"), _tree(delivery.listing))
        distinct = {file.etag: file for file in delivery.files}
        written = Fetching(root, folder, commit, delivery.content, watch)(tuple(distinct.values()))
        for file in delivery.files:
            if distinct[file.etag].path != file.path:
                watch(Checked(file.path, fetched=False))  # the same blob as another file's
        place(model, snapshot, delivery.files, workshop)
        if delivery.ref:
            workshop.write(os.path.join(model, layout.REFS, delivery.ref), commit.encode())
        workshop.close()
    return written


def missing_bytes(root: str, folder: str, commit: str, files: Iterable[SourceFile]) -> int:
    """What the files will still take from the disk; one of the right size takes nothing."""
    model = os.path.join(root, folder)
    snapshot = os.path.join(model, layout.SNAPSHOTS, commit)
    return sum(_missing(model, snapshot, file) for file in {file.etag: file for file in files}.values())


def _missing(model: str, snapshot: str, file: SourceFile) -> int:
    blobs = os.path.join(model, layout.BLOBS)
    if plain_file(pointer_of(snapshot, file), file.size):
        return 0
    try:
        if os.stat(os.path.join(blobs, file.etag)).st_size == file.size:
            return 0
    except OSError:
        pass
    return max(0, file.size - partial.bytes_there(blobs, file.etag))


def free_bytes(root: str) -> int:
    """Of the nearest folder that exists."""
    place = root
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    info = os.statvfs(place)
    return info.f_bavail * info.f_frsize


def _check(file: SourceFile) -> None:
    """No name that a server sends leads out of the model's folder."""
    parts = file.path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts) or not layout.ETAG.fullmatch(file.etag):
        raise ValidationError(
            f"The commit names a file that cannot be in a cache: {file.path!r}; nothing was downloaded"
        )


def _tree(files: tuple[SourceFile, ...]) -> bytes:
    rows: dict[str, dict[str, object]] = {}
    for file in sorted(files, key=lambda file: file.path):
        rows[file.path] = {"size": file.size, "blob_id": file.blob_id}
        if file.is_lfs:
            rows[file.path] |= {"lfs_sha256": file.etag, "lfs_size": file.size}
    return json.dumps({"format_version": layout.TREE_FORMAT_VERSION, "files": rows}, indent=1).encode()
