"""Folders of any depth, walked and deleted without recursion and without following a link."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator


def _raise(error: OSError) -> None:
    raise error


def walk(folder: str, *, unreadable: Callable[[OSError], None] | None = _raise) -> Iterator[str]:
    """Paths of everything below that is not a folder. A folder that cannot be read is raised, or passed over (None)."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as scan:
                entries = list(scan)
        except OSError as error:
            if unreadable:
                unreadable(error)
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry.path


def on_disk(info: os.stat_result) -> int:
    """Bytes that a file takes, which may have holes; none for a link."""
    return 0 if stat.S_ISLNK(info.st_mode) else min(info.st_size, info.st_blocks * 512)


def sole_bytes(info: os.stat_result) -> int:
    """Length of a file that goes with this name alone: none where it has another name."""
    return info.st_size if info.st_nlink == 1 else 0


def tree_bytes(folder: str) -> int:
    """Bytes that go with all files below, as far as they can be looked at; none for a file with a name elsewhere."""
    return own_bytes(walk(folder, unreadable=None))


def own_bytes(paths: Iterable[str]) -> int:
    """Bytes that the disk regains when all of these different paths go: none of what has another name."""
    names: dict[tuple[int, int], int] = {}
    freed = 0
    for path in paths:
        with contextlib.suppress(OSError):
            info = os.lstat(path)
            key = (info.st_dev, info.st_ino)
            names[key] = names.get(key, 0) + 1
            freed += on_disk(info) if names[key] == info.st_nlink else 0
    return freed


def delete_tree(folder: str) -> None:
    """Delete as much of the folder, or a file, as the file system allows; the rest stays. Of a link only itself."""
    if os.path.islink(folder) or os.path.isfile(folder):
        with contextlib.suppress(OSError):
            os.unlink(folder)
        return
    folders = [folder]
    for path in folders:  # grows while it is walked: parents come before their children
        with contextlib.suppress(OSError), os.scandir(path) as scan:
            for entry in list(scan):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
    for path in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(path)
