"""Writes model folders exactly as huggingface_hub lays them out, with sparse files where only the size matters."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class Content:
    """A file that starts with `head`, ends with `tail`, and is `size` bytes long; zeros in between take no space."""

    head: bytes
    tail: bytes = b""
    size: int = 0

    @property
    def length(self) -> int:
        return max(self.size, len(self.head) + len(self.tail))

    def write(self, path: str) -> None:
        with open(path, "wb") as file:
            file.write(self.head)
            file.truncate(self.length)
            if self.tail:
                file.seek(self.length - len(self.tail))
                file.write(self.tail)


def write_model(root: Path, name: str, files: dict[str, Content]) -> None:
    """One model with one revision on `main`: blobs, relative links, ref, recorded listing, and the pull's locks."""
    folder = "models--" + name.replace("/", "--")
    commit = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    blobs, locks = root / folder / "blobs", root / ".locks" / folder
    snapshot, refs, trees = (root / folder / part for part in (f"snapshots/{commit}", "refs", "trees"))
    for place in (blobs, snapshot, refs, trees, locks):
        place.mkdir(parents=True)
    rows: dict[str, dict[str, object]] = {}
    for path, content in files.items():
        etag, rows[path] = _identity(name, path, content)
        content.write(f"{blobs}/{etag}")
        os.symlink(f"../../blobs/{etag}", f"{snapshot}/{path}")
        (locks / f"{etag}.lock").touch()
    (trees / f"{commit}.json").write_text(json.dumps({"format_version": 1, "files": rows}))
    (refs / "main").write_text(commit)


def _identity(name: str, path: str, content: Content) -> tuple[str, dict[str, object]]:
    """The blob's name and the file's row in the listing. Large files are named without reading their zeros."""
    seed = f"{name}/{path}".encode()
    blob_id = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
    if not path.endswith(WEIGHTS):
        return blob_id, {"size": content.length, "blob_id": blob_id}
    sha256 = hashlib.sha256(seed).hexdigest()
    return sha256, {"size": 135, "blob_id": blob_id, "lfs_sha256": sha256, "lfs_size": content.length}
