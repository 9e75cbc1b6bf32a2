"""Reading a folder that is to be uploaded. Links to files are followed, as in a snapshot; links to folders are not."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlxk2.adapters.reading import excerpt
from mlxk2.ports.cache import FileFact, LinkState, Probe
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.workspace import Listing, LocalFile

_PIECE = 256 * 1024


class FolderWorkspace:
    """Any folder of this machine."""

    def listing(self, folder: str, enter: Callable[[str, frozenset[str]], bool]) -> Listing:
        if not os.path.isdir(folder):
            what = "is not a folder" if os.path.exists(folder) else "does not exist"
            raise ValidationError(f"{folder} {what}; name the folder that holds the model's files")
        folder = os.path.realpath(folder)  # huggingface_hub would shorten "link/.." by its letters
        files: list[LocalFile] = []
        odd: list[str] = []
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
                    path = f"{prefix}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/")
                    elif (size := _size(entry)) is None:
                        odd.append(path)
                    else:
                        files.append(LocalFile(path, entry.path, size))
        return Listing(tuple(sorted(files)), tuple(sorted(odd)))

    def text(self, folder: str, name: str) -> str | None:
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            return None
        with _access(name), open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def pieces(self, file: LocalFile) -> Iterator[bytes]:
        with _access(file.path), open(file.location, "rb", buffering=0) as content:
            while piece := content.read(_PIECE):
                yield piece

    def facts(self, files: tuple[LocalFile, ...], probe: Probe) -> tuple[FileFact, ...]:
        return tuple(_fact(file, probe) for file in files)


def _size(entry: os.DirEntry[str]) -> int | None:
    """Bytes of a regular file, or of the one that a link leads to; None for anything else."""
    try:
        info = entry.stat()
    except OSError:
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None


def _fact(file: LocalFile, probe: Probe) -> FileFact:
    reading = probe(file.path, file.size) if file.size else None
    if reading is None:
        return FileFact(file.path, LinkState.FILE, file.size)
    try:
        head, tail = excerpt(file.location, file.size, reading)
    except OSError:
        return FileFact(file.path, LinkState.UNREADABLE, file.size)
    return FileFact(file.path, LinkState.FILE, file.size, None, head, tail)


@contextmanager
def _access(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AccessProblem(f"{what} cannot be read: {reason}; check its permissions") from error
