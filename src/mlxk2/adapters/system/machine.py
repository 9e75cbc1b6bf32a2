"""Memory of the computer and of this process: POSIX sysconf, /proc on Linux, libproc on macOS."""

import functools
import os
import sys
from collections.abc import Callable

_PROC_PIDTASKINFO = 4
"""libproc.h: virtual and resident size lead the answer, in 64-bit words."""
_TASK_INFO_WORDS = 12
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""malloc.h"""
_LARGEST_REUSED, _MOST_KEPT = 32 * 2**20, 256 * 2**20
"""Bytes; the first is the most that the library takes."""


class SystemMachine:
    """The `Machine` port. macOS tells no available memory through sysconf: `available_memory` is None there."""

    def total_memory(self) -> int | None:
        return _pages("SC_PHYS_PAGES")

    def available_memory(self) -> int | None:
        try:
            with open("/proc/meminfo", encoding="ascii") as file:
                rows = dict(line.split(":", 1) for line in file)
            return int(rows["MemAvailable"].split()[0]) * 1024
        except (OSError, KeyError, ValueError, IndexError):
            return None

    def resident_memory(self) -> int | None:
        try:
            if sys.platform == "darwin":
                return _resident_on_macos()
            with open("/proc/self/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return None

    def reuse_memory(self) -> None:
        if (option := _c_function("mallopt")) is not None:
            option(_M_MMAP_THRESHOLD, _LARGEST_REUSED)
            option(_M_TRIM_THRESHOLD, _MOST_KEPT)
            option(_M_ARENA_MAX, 1)  # the ends of those that threads have of their own are never given back

    def release_memory(self) -> None:
        if (trim := _c_function("malloc_trim")) is not None:
            trim(0)


@functools.cache
def _c_function(name: str) -> Callable[..., int] | None:
    """One of the GNU C library's own; others manage memory in other ways, and have no such function."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function


def _resident_on_macos() -> int | None:
    """Not run on a Mac yet: proc_pidinfo fills a proc_taskinfo and returns its size, 96 bytes."""
    import ctypes

    words = (ctypes.c_uint64 * _TASK_INFO_WORDS)()
    size = ctypes.sizeof(words)
    filled = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pidinfo(
        os.getpid(), _PROC_PIDTASKINFO, ctypes.c_uint64(0), ctypes.byref(words), size
    )
    return int(words[1]) if filled == size else None


def _pages(name: str) -> int | None:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
