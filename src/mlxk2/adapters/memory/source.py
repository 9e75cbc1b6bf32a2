"""The `ModelSource` port over files in memory."""

import hashlib
from collections.abc import Mapping

from mlxk2.ports.blobs import blob_name
from mlxk2.ports.sources import SourceFile, SourceModel


class MemorySource:
    """Yields the given files under the given name; `*.safetensors` are LFS files, as on the Hub."""

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self._name = name
        self._files = dict(files)

    def fetch(self) -> SourceModel:
        found = tuple(_source_file(path, content) for path, content in sorted(self._files.items()))
        manifest = "".join(f"{file.blob_id} {file.path}\n" for file in found)
        commit = hashlib.sha1(manifest.encode(), usedforsecurity=False).hexdigest()
        return SourceModel(self._name, commit, found)


def _source_file(path: str, content: bytes) -> SourceFile:
    lfs = path.endswith(".safetensors")
    return SourceFile(path, len(content), blob_name(content, lfs=lfs), blob_name(content, lfs=False), lambda: content)
