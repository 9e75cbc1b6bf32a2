"""Writing a snapshot exactly as huggingface_hub lays it out.

Order: blobs (each under huggingface_hub's own lock for it, hashed before the rename), snapshot links, `trees/`, and the
ref last, so that a kill at any moment leaves the model as it was before or complete.
"""

import json
import os
import secrets
from collections.abc import Iterable

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.ports.blobs import blob_name
from mlxk2.ports.errors import AccessProblem, OperationError
from mlxk2.ports.sources import SourceFile


def install(root: str, folder: str, commit: str, files: Iterable[SourceFile]) -> int:
    """Returns the bytes written. Files whose blob is there and right are not written again."""
    refuse_links(root, folder)
    model = os.path.join(root, folder)
    if os.path.islink(os.path.join(model, layout.SNAPSHOTS, commit)):
        raise AccessProblem(f"{folder}/{layout.SNAPSHOTS}/{commit} is a link to another place; remove the link first")
    os.makedirs(os.path.join(model, layout.BLOBS), exist_ok=True)
    _tag(root)
    written = 0
    chosen = tuple(files)
    for file in chosen:
        with lock(os.path.join(root, layout.LOCKS, folder, f"{file.etag}.lock")):
            written += _install_blob(os.path.join(model, layout.BLOBS, file.etag), file)
    for file in chosen:
        _link(os.path.join(model, layout.SNAPSHOTS, commit), file)
    _write_atomically(os.path.join(model, layout.TREES, f"{commit}.json"), _tree(chosen))
    _write_atomically(os.path.join(model, layout.REFS, "main"), commit.encode())
    return written


def _install_blob(path: str, file: SourceFile) -> int:
    if not os.path.islink(path) and os.path.isfile(path) and _etag_of_file(path, file) == file.etag:
        return 0
    content = file.read()
    if blob_name(content, lfs=file.is_lfs) != file.etag:
        raise OperationError(f"{file.path} is damaged in this installation; reinstall the program")
    _write_atomically(path, content, suffix=f".{secrets.token_hex(4)}.incomplete")
    return len(content)


def _etag_of_file(path: str, file: SourceFile) -> str | None:
    with open(path, "rb") as stored:
        return blob_name(stored.read(), lfs=file.is_lfs) if os.fstat(stored.fileno()).st_size == file.size else None


def _link(snapshot: str, file: SourceFile) -> None:
    pointer = os.path.join(snapshot, *file.path.split("/"))
    goal = "../" * (file.path.count("/") + 2) + f"{layout.BLOBS}/{file.etag}"
    if os.path.islink(pointer) and os.readlink(pointer) == goal:
        return
    os.makedirs(os.path.dirname(pointer), exist_ok=True)
    temporary = f"{pointer}.{secrets.token_hex(4)}.tmp"
    os.symlink(goal, temporary)
    try:
        os.replace(temporary, pointer)
    except OSError:
        os.unlink(temporary)
        raise


def _tree(files: tuple[SourceFile, ...]) -> bytes:
    rows: dict[str, dict[str, object]] = {}
    for file in sorted(files, key=lambda file: file.path):
        rows[file.path] = {"size": file.size, "blob_id": file.blob_id}
        if file.is_lfs:
            rows[file.path] |= {"lfs_sha256": file.etag, "lfs_size": file.size}
    return json.dumps({"format_version": layout.TREE_FORMAT_VERSION, "files": rows}, indent=1).encode()


def _tag(root: str) -> None:
    path = os.path.join(root, layout.CACHEDIR_TAG)
    if not os.path.lexists(path):
        _write_atomically(path, layout.CACHEDIR_TAG_TEXT.encode())


def _write_atomically(path: str, content: bytes, *, suffix: str = "") -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = path + (suffix or f".{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
