"""Runs whole processes and takes their times: to the first character of the answer, and to the end."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contestant:
    """One command line. Its answer starts after the first `marker` on standard output.

    `fresh` is a folder that is not there when it starts.
    """

    label: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    marker: bytes = b""
    fresh: Path | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the process was started, seconds of processor time, its peak memory in bytes, what it printed."""

    first: float
    total: float
    processor: float
    peak: int
    output: bytes


class CommandFailed(Exception):
    """A contestant did not exit with status 0; the message holds the end of what it wrote to standard error."""


def program(name: str) -> str:
    """A console script that is installed beside the running interpreter."""
    return str(Path(sys.executable).parent / name)


def has_program(name: str) -> bool:
    return os.access(program(name), os.X_OK)


def clean_environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's settings but the search path: no token, no cache of the user, no interpreter switches.

    Peers may not ask the network for news, and byte code may be cached, as it is for whoever installed the program.
    """
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(home), **quiet, **extra}


def measure(contestant: Contestant, home: Path) -> Timing:
    """One run. Reads standard output as it comes, so that nothing waits in a buffer of ours."""
    environ = clean_environment(home, contestant.environ)
    if contestant.fresh:
        shutil.rmtree(contestant.fresh, ignore_errors=True)
        os.sync()  # what the run before has written must not be this one's burden
    with (home / "stderr").open("w+b") as errors:
        started = time.perf_counter()
        with subprocess.Popen(
            contestant.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environ, bufsize=0
        ) as process:
            first, output = _read(process, contestant.marker)
            _, status, usage = os.wait4(process.pid, 0)
            total = time.perf_counter() - started
            process.returncode = code = os.waitstatus_to_exitcode(status)
        if code:
            errors.seek(0)
            raise CommandFailed(
                f"{contestant.label}: exit status {code}\n{errors.read()[-2000:].decode(errors='replace')}"
            )
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Timing((first or started + total) - started, total, usage.ru_utime + usage.ru_stime, peak, output)


def _read(process: "subprocess.Popen[bytes]", marker: bytes) -> tuple[float | None, bytes]:
    """When the first character behind the marker came, and everything."""
    if process.stdout is None:
        raise CommandFailed("the process has no standard output")
    output = b""
    first: float | None = None
    while piece := os.read(process.stdout.fileno(), 1 << 16):
        now = time.perf_counter()
        output += piece
        if first is None and (output.partition(marker)[2] if marker else output):
            first = now
    return first, output


@dataclass(frozen=True, slots=True)
class Series:
    """All counted runs of one contestant, in order."""

    contestant: Contestant
    timings: tuple[Timing, ...]


def race(contestants: Sequence[Contestant], home: Path, runs: int) -> list[Series]:
    """Every contestant once to warm up, then in turn, so that whatever else the machine does hits all alike."""
    for contestant in contestants:
        measure(contestant, home)
    rounds = [[measure(contestant, home) for contestant in contestants] for _ in range(runs)]
    return [
        Series(contestant, tuple(timings))
        for contestant, timings in zip(contestants, zip(*rounds, strict=True), strict=True)
    ]
