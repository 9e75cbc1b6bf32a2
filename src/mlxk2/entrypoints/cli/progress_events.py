"""A transfer as events for other programs."""

import time

from mlxk2.domain.usecases.pull_model import Preflight
from mlxk2.entrypoints.cli.meter import Meter
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import LeavesNothing, waiting_text
from mlxk2.entrypoints.cli.records.transfer import (
    FileProgressObject,
    NoticeEvent,
    ProgressEvent,
    StartEvent,
    VerifyEvent,
)
from mlxk2.ports.transfer import Checked, Event, Moving, Waiting

_EVERY = 0.5


class EventReporter(LeavesNothing):
    """`start`, `progress` at most twice a second, `verify` a file, `notice`; the command adds `done` or `error`."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._meter = Meter()
        self._due = 0.0

    def notice(self, text: str) -> None:
        self._out.event(NoticeEvent(text))

    def start(self, preflight: Preflight) -> None:
        model = preflight.model
        self._out.event(StartEvent(model.name, model.commit, len(preflight.files), preflight.total, preflight.missing))

    def watch(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self.notice(waiting_text(event))
        elif isinstance(event, Checked):
            self._out.event(VerifyEvent(event.path, event.fetched))
        else:
            self._moving(event)

    def _moving(self, event: Moving) -> None:
        now = time.monotonic()
        self._meter.add(now, event.fetched)
        if now < self._due:
            return
        self._due = now + _EVERY
        self._out.event(
            ProgressEvent(
                event.here,
                event.hashed,
                event.total,
                self._meter.bytes_per_second,
                self._meter.seconds_left(event.total - event.here),
                [FileProgressObject(file.path, file.here, file.size) for file in event.running],
            )
        )
