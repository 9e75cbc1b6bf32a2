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
