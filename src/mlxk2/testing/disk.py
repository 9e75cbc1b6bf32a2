"""Writing described models into a real cache folder, in huggingface_hub's layout."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision

_SHARED_MARKER = ".huggingface-shared-blobs"


def write_cache(root: Path, models: Iterable[StoredModel]) -> Path:
    """Write every model below `root` (made if needed) and return it. Held locks are not held: see `hold_lock`."""
    root.mkdir(parents=True, exist_ok=True)
    for model in models:
        write_model(root, model)
    return root


def write_model(root: Path, model: StoredModel) -> Path:
    """Write one model and return its folder."""
    folder = root / model.folder
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for commit, revision in model.revisions.items():
        _write_revision(root, folder, commit, revision)
    for ref, commit in model.refs.items():
        _write(folder / "refs" / ref, commit.encode())
    for number, (etag, size) in enumerate(model.partials):
        _write(folder / "blobs" / f"{etag}.{number:08x}.incomplete", bytes(size))
    for etag in model.stale_locks | model.held_locks:
        _write(root / ".locks" / model.folder / f"{etag}.lock", b"")
    for path, content in model.extra.items():
        _write(folder / path, content)
    _set_times(folder, model)
    return folder


@contextmanager
def hold_lock(root: Path, model: StoredModel, etag: str) -> Iterator[None]:
    """Hold huggingface_hub's lock of one blob, as a running download does."""
    path = root / ".locks" / model.folder / f"{etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_revision(root: Path, folder: Path, commit: str, revision: StoredRevision) -> None:
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True, exist_ok=True)
    for path, file in revision.files.items():
        _write_file(root, folder, snapshot / path, path.count("/") + 2, file)
    if revision.listing is not None:
        rows = {row.path: _tree_row(row.size, row.blob) for row in revision.listing}
        _write(folder / "trees" / f"{commit}.json", json.dumps({"format_version": 1, "files": rows}).encode())


def _tree_row(size: int, blob: str) -> dict[str, object]:
    if len(blob) == 64:
        return {"size": size, "blob_id": "0" * 40, "lfs_sha256": blob, "lfs_size": size}
    return {"size": size, "blob_id": blob}


def _write_file(root: Path, folder: Path, entry: Path, depth: int, file: StoredFile) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * depth
    if file.placement is Placement.PLAIN:
        entry.write_bytes(file.content)
        return
    if file.placement is Placement.OUTSIDE:
        _write(root.parent / "outside.bin", file.content)
        _link(entry, f"{up}../../outside.bin")
        return
    if file.placement is Placement.FOLDER:
        _link(entry, f"{up}blobs")
        return
    if file.placement is not Placement.DANGLING:
        _write_blob(root, folder / "blobs" / file.etag, file)
    _link(entry, f"{up}blobs/{file.etag}")


def _write_blob(root: Path, blob: Path, file: StoredFile) -> None:
    if file.placement is Placement.BLOB:
        _write(blob, file.content)
    elif file.placement is Placement.OUTSIDE_BLOB:
        _write(root.parent / "outside.bin", file.content)
        _link(blob, "../../../outside.bin")
    else:
        xet_hash = file.payload
        payload = root / "blobs" / xet_hash[:2] / xet_hash
        _write(root / "blobs" / _SHARED_MARKER, b"1\n")
        payload.parent.mkdir(parents=True, exist_ok=True)
        if file.placement is Placement.SHARED:
            _write(payload, file.content)
        with payload.with_name(f"{xet_hash}.refs").open("a") as refs:
            refs.write(f"{blob.relative_to(root)}\n")
        _link(blob, f"../../blobs/{xet_hash[:2]}/{xet_hash}")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(target)


def _set_times(folder: Path, model: StoredModel) -> None:
    for blob in (folder / "blobs").iterdir():
        if blob.exists():
            os.utime(blob, (model.modified, model.modified))
    for commit, revision in model.revisions.items():
        os.utime(folder / "snapshots" / commit, (revision.modified, revision.modified))
