"""Run the whole suite as two processes at once, since most tests keep one core busy: python tools/run_tests.py.

Words on the command line go to both. What the first half says comes when both have ended.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path("tests")
FIRST = ("adapters", "contracts", "terminal")
PYTEST = (sys.executable, "-m", "coverage", "run", "-m", "pytest")


def second() -> list[str]:
    """All that is not in the first half, whatever is added to the suite."""
    others = [place for place in sorted(TESTS.iterdir()) if place.name not in FIRST]
    return [str(place) for place in others if place.match("test_*.py") or any(place.glob("**/test_*.py"))]


def main() -> int:
    """1 when a test failed."""
    first = [str(TESTS / name) for name in FIRST]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        running = subprocess.Popen([*PYTEST, *sys.argv[1:], *first], stdout=said, stderr=subprocess.STDOUT)
        try:
            failed = subprocess.call([*PYTEST, *sys.argv[1:], *second()])
            failed = running.wait() or failed
        finally:
            running.terminate()
        said.seek(0)
        sys.stdout.write(said.read())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
