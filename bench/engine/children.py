"""Child processes that answer questions: one JSON line in, one JSON line out.

Every engine and the client sit in a process of their own, started once and asked in turn, so that peers meet the same
machine and loading is not part of any time.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.processes import CommandFailed, clean_environment

ROOT = Path(__file__).parent.parent.parent
_END = 2000
_PATIENCE = 20


class Child:
    """A running child. Its standard error goes to a file below `home`, whose end is shown when it fails."""

    def __init__(self, label: str, argv: tuple[str, ...], home: Path, environ: Mapping[str, str] | None = None) -> None:
        self.label = label
        self._errors = home / f"{label.replace(' ', '-').replace('/', '-')}.stderr"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_environment(home, environ or {}),
                cwd=ROOT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, question: object) -> Any:
        """Send a line, wait for the answer to it. Raises CommandFailed when the child has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise CommandFailed(f"{self.label}: it has no standard input or output")
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self.failure() from error
        line = self._process.stdout.readline()
        if not line:
            raise self.failure()
        return json.loads(line)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def failure(self) -> CommandFailed:
        """What to raise when it does not answer."""
        errors = self._errors.read_bytes()[-_END:].decode(errors="replace")
        return CommandFailed(f"{self.label}: it ended (exit status {self._process.poll()})\n{errors}")

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def module(name: str, *args: str) -> tuple[str, ...]:
    """The command line of one of this package's children."""
    return (sys.executable, "-m", f"bench.engine.{name}", *args)


def serve(answer: Callable[[Any], object]) -> None:
    """The child's side: answer every line until standard input ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
