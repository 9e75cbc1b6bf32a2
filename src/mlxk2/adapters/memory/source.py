"""The `ModelSource` and `Content` ports over files in memory."""

import hashlib
from collections.abc import Iterator, Mapping

from mlxk2.ports.blobs import blob_name
from mlxk2.ports.sources import SourceFile, SourceModel

_LARGE = (".safetensors", ".gguf", ".bin")


def source_file(path: str, content: bytes) -> SourceFile:
    """A file as the Hub describes it; weights are LFS files."""
    git_id = blob_name(content, lfs=False)
    etag = blob_name(content, lfs=True) if path.endswith(_LARGE) else git_id
    return SourceFile(path, len(content), etag, git_id)


class MemoryContent:
    """Serves what is in `files`, whatever a file's description says of its hash and size."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.reads: list[tuple[str, int, int]] = []

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        self.reads.append((file.path, start, stop))
        yield self.files[file.path][start:stop]


class MemorySource:
    """Yields the given files under the given name."""

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self._name = name
        self._files = dict(files)

    def fetch(self) -> SourceModel:
        found = tuple(source_file(path, content) for path, content in sorted(self._files.items()))
        manifest = "".join(f"{file.blob_id} {file.path}\n" for file in found)
        commit = hashlib.sha1(manifest.encode(), usedforsecurity=False).hexdigest()
        return SourceModel(self._name, commit, found, MemoryContent(self._files))

    def location(self) -> str:
        return f"memory://{self._name}"
