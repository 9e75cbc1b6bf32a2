"""Memory of the computer, by POSIX sysconf and, on Linux, /proc/meminfo."""

import os


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


def _pages(name: str) -> int | None:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
