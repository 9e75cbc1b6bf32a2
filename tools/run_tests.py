"""Run the whole suite as two processes at once, since most tests keep one core busy: python tools/run_tests.py.

Words on the command line go to all. What the first parts say comes when all have ended.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

TESTS = Path("tests")
PARTS = (("adapters", "contracts", "entrypoints"),)
PYTEST = (sys.executable, "-m", "coverage", "run", "-m", "pytest")


def places() -> list[list[str]]:
    """What each process runs; the last one all that is in no other part, whatever is added to the suite."""
    named = {name for part in PARTS for name in part}
    others = [place for place in sorted(TESTS.iterdir()) if place.name not in named]
    rest = [str(place) for place in others if place.match("test_*.py") or any(place.glob("**/test_*.py"))]
    return [*([str(TESTS / name) for name in part] for part in PARTS), rest]


def main() -> int:
    """1 when a test failed."""
    *parts, last = places()
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in parts]
        running = [
            subprocess.Popen([*PYTEST, *sys.argv[1:], *part], stdout=file, stderr=subprocess.STDOUT)
            for part, file in zip(parts, said, strict=True)
        ]
        try:
            codes = [subprocess.call([*PYTEST, *sys.argv[1:], *last]), *(process.wait() for process in running)]
        finally:
            for process in running:
                process.terminate()
        for file in said:
            file.seek(0)
            sys.stdout.write(file.read())
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
