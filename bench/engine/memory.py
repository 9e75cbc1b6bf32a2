"""What processes take of memory, as the system counts it: resident, in megabytes."""

import subprocess


def resident(pid: int) -> float:
    """Of one process."""
    return next(size for number, _, size in _listed() if number == pid)


def resident_children(pid: int) -> float:
    """Of its direct children together."""
    return sum(size for _, parent, size in _listed() if parent == pid)


def _listed() -> list[tuple[int, int, float]]:
    """Process, parent and size of everything that runs."""
    argv = ["ps", "-A", "-o", "pid=,ppid=,rss="]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(int(pid), int(parent), int(size) * 1024 / 1e6) for pid, parent, size in map(str.split, lines)]
