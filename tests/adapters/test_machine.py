"""The machine's own numbers, where they can be held against something."""

import platform
import subprocess
import sys

import pytest

_SCATTERED = """
from mlxk2.adapters.system import SystemMachine
machine = SystemMachine()
machine.release_memory()
pieces = [bytes(4000) for _ in range(10_000)]
kept = pieces[::10]
full = machine.resident_memory()
del pieces
freed = machine.resident_memory()
machine.release_memory()
print(full - freed, full - machine.resident_memory())
"""
"""What is kept lies between all that is freed, so that the C library does not give that back by itself."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves")
def test_memory_between_what_lives_on_is_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", _SCATTERED], capture_output=True, text=True, check=True)
    by_itself, in_all = map(int, run.stdout.split())
    assert by_itself < 4_000_000
    assert in_all > 20_000_000


_TAKEN_AGAIN = """
import resource, sys
from mlxk2.adapters.system import SystemMachine
if sys.argv[1] == "reuse":
    SystemMachine().reuse_memory()
size = 20_000_000
bytearray(size)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    first, second = bytearray(size), bytearray(size)
    del first, second
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such choice")
def test_what_is_freed_is_taken_again_without_being_cleared_by_the_system() -> None:
    def faults(*how: str) -> int:
        run = subprocess.run([sys.executable, "-c", _TAKEN_AGAIN, *how], capture_output=True, text=True, check=True)
        return int(run.stdout)

    again, once = faults("not"), faults("reuse")
    assert again > 5 * once
