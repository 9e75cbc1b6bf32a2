"""Folders of any depth, walked and deleted without recursion and without following a link."""

import contextlib
import os
from collections.abc import Callable, Iterator


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


def delete_tree(folder: str) -> None:
    """Delete as much of the folder as the file system allows; what is left is left in place. Of a link only itself."""
    if os.path.islink(folder):
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
