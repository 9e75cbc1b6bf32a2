"""Telling of a transfer while it runs: bars on a terminal, lines elsewhere, events for programs.

Bars and lines go to standard error; events are the result of `--jsonl` and go to standard output.
"""

import time
from queue import SimpleQueue
from threading import current_thread, main_thread
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.pull_model import Preflight
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.meter import Meter
from mlxk2.entrypoints.cli.output import Output
from mlxk2.ports.transfer import Checked, Event, Moving, Waiting

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.progress_bars import BarReporter

_NOTICE_EVERY = 1.0
_LINE_EVERY = 5.0


class Reporter(Protocol):
    """Used as a context manager around the transfer."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def notice(self, text: str) -> None:
        """Why nothing happens for a while."""

    def start(self, preflight: Preflight) -> None:
        """What is going to happen."""

    def watch(self, event: Event) -> None:
        """What just happened."""


def reporter(out: Output) -> Reporter:
    """The one that fits where the output goes."""
    if out.jsonl:
        from mlxk2.entrypoints.cli.progress_events import EventReporter

        return EventReporter(out)
    return for_people(out)


def for_people(out: Output) -> "BarReporter | LineReporter":
    """Bars or lines."""
    if out.can_animate:
        from mlxk2.entrypoints.cli.progress_bars import BarReporter

        return BarReporter(out)
    return LineReporter(out)


class Calm:
    """Tells a reporter of what happens, from the thread that watches, and not the same over and over.

    Notices come from the threads that transfer, often from several at once; of those within a second one is enough.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._waiting: SimpleQueue[str] = SimpleQueue()
        self._quiet_until = 0.0

    def notice(self, text: str) -> None:
        """From any thread."""
        if current_thread() is main_thread():
            self._reporter.notice(text)
        else:
            self._waiting.put(text)

    def watch(self, event: Event) -> None:
        """From the thread that watches."""
        while not self._waiting.empty():
            text = self._waiting.get()
            if time.monotonic() >= self._quiet_until:
                self._quiet_until = time.monotonic() + _NOTICE_EVERY
                self._reporter.notice(text)
        self._reporter.watch(event)


def opening(preflight: Preflight) -> str:
    """The first line for people."""
    files = human.count(len(preflight.files), "file")
    total, missing = preflight.total, preflight.missing
    here = f", {size(total - missing)} of it already here" if missing < total else ""
    return f"Pulling {preflight.model.name}: {files}, {size(total)}{here}"


def waiting_text(event: Waiting) -> str:
    what = f"{printable(event.what)} to be finished" if event.what else "it to finish"
    return f"Another program is downloading this model; waiting for {what}"


class LeavesNothing:
    """Of reporters that have nothing to clear from the screen when the transfer is over."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LineReporter(LeavesNothing):
    """Plain lines: the files as they are done, and from time to time how far the whole is."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._meter = Meter()
        self._due = time.monotonic() + _LINE_EVERY

    def notice(self, text: str) -> None:
        self._out.note(text)

    def start(self, preflight: Preflight) -> None:
        if preflight.has_work:
            self.begin(opening(preflight), preflight.total, preflight.total - preflight.missing)

    def begin(self, text: str, total: int, here: int) -> None:  # noqa: ARG002 - as the bars do
        self._out.note(text)

    def watch(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._out.note(waiting_text(event))
        elif isinstance(event, Checked):
            word = "fetched and verified" if event.fetched else "verified"
            self._out.note(f"  {printable(event.path)}: {word}")
        else:
            self._moving(event)

    def _moving(self, event: Moving) -> None:
        now = time.monotonic()
        self._meter.add(now, event.fetched)
        if now < self._due:
            return
        self._due = now + _LINE_EVERY
        self._out.note(f"  {share(event)}: {size(event.here)} of {size(event.total)}{pace(self._meter, event)}")


def share(event: Moving) -> str:
    return f"{100 * event.here // event.total if event.total else 100}%"


def pace(meter: Meter, event: Moving) -> str:
    """`, 52.1 MB/s, 12 s left`, as far as it is known."""
    speed, left = meter.bytes_per_second, meter.seconds_left(event.total - event.here)
    return (f", {size(speed)}/s" if speed else "") + (f", {left} s left" if left else "")
