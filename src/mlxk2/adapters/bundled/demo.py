"""The files of `mlxk2/demo`, named and hashed as the Hub would.

Weights are LFS files there (blob name: sha256), everything else is plain git (blob name: git's sha1). The commit is
made from the files alone, so that the same version of the program always installs the same revision.
"""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from mlxk2.ports.blobs import blob_name
from mlxk2.ports.errors import OperationError
from mlxk2.ports.sources import SourceFile, SourceModel

DEMO_NAME = "mlxk2/demo"


class BundledDemo:
    """The `ModelSource` port; `folder` may name another place than the package's assets, for tests."""

    def __init__(self, folder: Traversable | None = None) -> None:
        self._folder = folder or files("mlxk2").joinpath("assets", "demo")

    def fetch(self) -> SourceModel:
        try:
            entries = sorted(
                (entry for entry in self._folder.iterdir() if entry.is_file()), key=lambda entry: entry.name
            )
        except OSError:
            entries = []
        if not entries:
            raise OperationError("The demo model is missing from this installation; reinstall the program")
        found = tuple(_source_file(entry) for entry in entries)
        manifest = "".join(f"{file.blob_id} {file.path}\n" for file in found)
        commit = hashlib.sha1(manifest.encode(), usedforsecurity=False).hexdigest()
        return SourceModel(DEMO_NAME, commit, found, _PackageContent(self._folder))

    def location(self) -> str:
        return str(self._folder)


class _PackageContent:
    """The `Content` port over files of the package, which are small."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        yield self._folder.joinpath(file.path).read_bytes()[start:stop]


def _source_file(entry: Traversable) -> SourceFile:
    content = entry.read_bytes()
    git_id = blob_name(content, lfs=False)
    if not entry.name.endswith(".safetensors"):
        return SourceFile(entry.name, len(content), git_id, git_id)
    sha256 = blob_name(content, lfs=True)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n"
    return SourceFile(entry.name, len(content), sha256, blob_name(pointer.encode(), lfs=False))
