"""Whether files and folders look as they did: by device, inode, size, and the times of the last change.

The time of an inode's last change (ctime) is set by the system alone, so that nothing changes unseen: a name that comes
or goes changes its folder, content changes its file. Only what had settled before it was read can be believed, since
within one tick of the clock a second change leaves no trace.
"""

import os
from collections.abc import Iterable

Look = tuple[int, int, int, int, int]
"""Device, inode, size, modification time and time of the inode's last change (ns): a file with the same ones counts as
unchanged."""
Sight = list[os.stat_result | None]


def look_of(found: os.stat_result) -> Look:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def look(paths: Iterable[str]) -> Sight:
    """Links are looked at themselves; a path that is not there is a sight, too."""
    return [_stat(path) for path in paths]


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def mark(sight: Sight) -> int:
    """Another number for all that looks different."""
    return hash(tuple(() if one is None else look_of(one) for one in sight))


def newest(sight: Sight) -> int:
    """When any of it changed last, in nanoseconds since the epoch."""
    return max((max(one.st_mtime_ns, one.st_ctime_ns) for one in sight if one), default=0)
