"""A transfer as bars on a terminal: one for the whole model, one for each file under way."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleDimensions
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from mlxk2.domain.names import printable
from mlxk2.domain.usecases.pull_model import Preflight
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import opening, waiting_text
from mlxk2.ports.transfer import Checked, Event, Moving, Waiting

_LONGEST = 40


class _Console(Console):
    """Leaves the last columns free: the `^C` that a terminal writes there must not begin another line."""

    @property  # type: ignore[misc] # nobody sets it
    def size(self) -> ConsoleDimensions:
        columns, rows = super().size
        return ConsoleDimensions(max(1, columns - len("^C") - 1), rows)


class BarReporter:
    """Drawn by rich on standard error, and gone when the transfer is over."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=_one_line(ratio=2)),
            BarColumn(bar_width=None, table_column=_one_line(ratio=1)),
            DownloadColumn(table_column=_one_line()),
            TransferSpeedColumn(table_column=_one_line()),
            TimeRemainingColumn(compact=True, table_column=_one_line()),
            console=_Console(file=sys.stderr),
            transient=True,
            expand=True,
        )
        self._whole: TaskID | None = None
        self._files: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def notice(self, text: str) -> None:
        self._bars.console.print(printable(text), markup=False, highlight=False)

    def start(self, preflight: Preflight) -> None:
        if preflight.has_work:
            self.begin(opening(preflight), preflight.total, preflight.total - preflight.missing)

    def begin(self, text: str, total: int, here: int) -> None:
        """A line that stays, and the bar for `total` bytes, of which some are `here`."""
        self._out.note(text)
        self._whole = self._bars.add_task("all files", total=total, completed=here)
        self._bars.start()

    def watch(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self.notice(waiting_text(event))
        elif isinstance(event, Moving):
            self._moving(event)
        elif isinstance(event, Checked) and event.path in self._files:
            self._bars.remove_task(self._files.pop(event.path))

    def _moving(self, event: Moving) -> None:
        if self._whole is None:
            return
        verifying = event.here == event.total and event.hashed < event.total
        self._bars.update(
            self._whole,
            description="verifying" if verifying else "all files",
            completed=event.hashed if verifying else event.here,
            total=event.total,
        )
        for file in event.running:
            if file.path not in self._files:
                self._files[file.path] = self._bars.add_task(_short(file.path), total=file.size, completed=file.here)
            self._bars.update(self._files[file.path], completed=file.here)
        for path in self._files.keys() - {file.path for file in event.running}:
            self._bars.remove_task(self._files.pop(path))


def _one_line(ratio: int | None = None) -> Column:
    """A column that never wraps; those with a ratio share the width that the others leave."""
    return Column(no_wrap=True, ratio=ratio, min_width=4 if ratio else None, overflow="ellipsis")


def _short(path: str) -> str:
    shown = printable(path)
    return shown if len(shown) <= _LONGEST else f"…{shown[1 - _LONGEST :]}"
