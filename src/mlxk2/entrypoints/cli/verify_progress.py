"""Telling how far `verify` is, with the bars and lines of a transfer."""

import time
from types import TracebackType
from typing import Self

from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.verify_models import Found, Planned
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import for_people
from mlxk2.ports.transfer import FileState, Moving
from mlxk2.ports.verifying import Event, Hashing

_QUIET_SECONDS = 5.0
"""A run that is over sooner tells of what it found at its end only."""
_SHOWN = 3


class VerifyProgress:
    def __init__(self, out: Output) -> None:
        self._reporter = for_people(out)
        self._planned = Planned(0, 0, 0)
        self._files = 0
        self._size = 0
        self._found: list[str] = []
        self._begun = False
        self._loud_from = time.monotonic() + _QUIET_SECONDS

    def __enter__(self) -> Self:
        self._reporter.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reporter.__exit__(kind, error, trace)

    def watch(self, event: Planned | Event | Found) -> None:
        if isinstance(event, Planned):
            self._planned = event
        elif isinstance(event, Hashing):
            self._hashing(event)
        elif isinstance(event, Found):
            self._found.append(printable(f"{event.name}: {event.damage.path} {event.damage.why}"))
            if time.monotonic() >= self._loud_from:
                self._reporter.notice(self._found[-1])
        elif event.hashed.hash:
            self._files += 1
            self._size += event.hashed.size

    def so_far(self, *, again: bool) -> str:
        """What to say when it was interrupted."""
        if not self._planned.files:
            return "Interrupted"
        if not self._files:
            return f"Interrupted before the first of {human.count(self._planned.files, 'file')} was read to its end"
        files = f"{self._files} of {human.count(self._planned.files, 'file')}"
        sizes = f"{size(self._size)} of {size(self._planned.size)}"
        bad = f"; damaged so far: {self._shown_damage()}" if self._found else ""
        command = "run it without --again" if again else "run the same command again"
        return f"Interrupted; {files} ({sizes}) checked and remembered{bad}; {command} to go on from there"

    def _shown_damage(self) -> str:
        more = f" and {len(self._found) - _SHOWN} more" if len(self._found) > _SHOWN else ""
        return f"{', '.join(self._found[:_SHOWN])}{more}"

    def _hashing(self, event: Hashing) -> None:
        if not self._begun:
            self._begun = True
            models, files, whole = self._planned
            self._reporter.begin(
                f"Checking {human.count(models, 'model')}: {human.count(files, 'file')}, {size(whole)},"
                f" of which {size(event.total)} is to be read",
                event.total,
                0,
            )
        running = tuple(FileState(file.path, file.size, file.done, file.done) for file in event.running)
        self._reporter.watch(Moving(event.total, event.done, event.done, event.done, running))
