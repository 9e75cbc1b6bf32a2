"""Reading a folder that is to be uploaded. Links to files are followed within it, links to folders are not."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlxk2.adapters.reading import excerpt
from mlxk2.ports.cache import ContentReader, FileFact, LinkState
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.workspace import Listing, LocalFile

_PIECE = 256 * 1024


class _Found:
    """Sorts entries that are no folders into what can be uploaded and what cannot."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._blobs = _blobs_of_snapshot(folder)
        self._files: list[LocalFile] = []
        self._odd: list[str] = []
        self._outside: list[str] = []
        self._targets: dict[str, str] = {}

    def add(self, path: str, entry: os.DirEntry[str]) -> None:
        size = _size(entry)
        if size is None:
            self._odd.append(path)
        elif not entry.is_symlink() or self._may_follow(path, entry.path):
            self._files.append(LocalFile(path, entry.path, size))
        else:
            self._outside.append(path)

    def listing(self) -> Listing:
        return Listing(
            tuple(sorted(self._files)), tuple(sorted(self._odd)), tuple(sorted(self._outside)), self._targets
        )

    def _may_follow(self, path: str, location: str) -> bool:
        target = os.path.realpath(location)
        if target.startswith(f"{self._folder}/"):
            self._targets[path] = os.path.relpath(target, self._folder)
            return True
        return any(target.startswith(f"{blobs}/") for blobs in self._blobs)


def _blobs_of_snapshot(folder: str) -> tuple[str, ...]:
    """Where the files of a snapshot in a Hugging Face cache are: the model's blobs, and the store that models share."""
    snapshots = os.path.dirname(folder)
    model = os.path.dirname(snapshots)
    if os.path.basename(snapshots) != "snapshots" or not os.path.basename(model).startswith("models--"):
        return ()
    return os.path.join(model, "blobs"), os.path.join(os.path.dirname(model), "blobs")


class FolderWorkspace:
    """Any folder of this machine."""

    def listing(self, folder: str, enter: Callable[[str, frozenset[str]], bool]) -> Listing:
        if not os.path.isdir(folder):
            what = "is not a folder" if os.path.exists(folder) else "does not exist"
            raise ValidationError(f"{folder} {what}; name the folder that holds the model's files")
        folder = os.path.realpath(folder)  # huggingface_hub would shorten "link/.." by its letters
        found = _Found(folder)
        waiting = [""]
        with _access(folder):
            while waiting:
                prefix = waiting.pop()
                if prefix and not enter(prefix, frozenset()):
                    continue
                with os.scandir(os.path.join(folder, prefix)) as scan:
                    entries = list(scan)
                if prefix and not enter(prefix, frozenset(entry.name for entry in entries)):
                    continue
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{prefix}{entry.name}/")
                    else:
                        found.add(f"{prefix}{entry.name}", entry)
        return found.listing()

    def text(self, folder: str, name: str) -> str | None:
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            return None
        if not os.path.isfile(path):
            raise ValidationError(f"{path} is not a file; take it away or make it one")
        with _access(name), open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def pieces(self, file: LocalFile) -> Iterator[bytes]:
        with _access(file.path), open(file.location, "rb", buffering=0) as content:
            while piece := content.read(_PIECE):
                yield piece

    def facts(self, files: tuple[LocalFile, ...], reader: ContentReader) -> tuple[FileFact, ...]:
        return tuple(_fact(file, reader) for file in files)


def _size(entry: os.DirEntry[str]) -> int | None:
    """Bytes of a regular file, or of the one that a link leads to; None for anything else."""
    try:
        info = entry.stat()
    except OSError:
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None


def _fact(file: LocalFile, reader: ContentReader) -> FileFact:
    reading = reader.probe(file.path, file.size) if file.size else None
    if reading is None:
        return FileFact(file.path, LinkState.FILE, file.size)
    try:
        head, tail = excerpt(file.location, file.size, reading)
    except OSError:
        return FileFact(file.path, LinkState.UNREADABLE, file.size)
    return FileFact(file.path, LinkState.FILE, file.size, None, reader.digest(file.path, file.size, head, tail))


@contextmanager
def _access(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AccessProblem(f"{what} cannot be read: {reason}; check its permissions") from error
