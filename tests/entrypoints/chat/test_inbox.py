"""Ctrl-C among the events of an answer."""

import os
import signal
import threading

import pytest

from mlxk2.entrypoints.cli.chat.inbox import Inbox
from mlxk2.ports.generation import Delta, Event, Finished, FinishReason, Sink

END = Finished(FinishReason.CANCELLED, 1, 1, 0.1, 0.2)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Model:
    """Answers for ever, until it is stopped; or does not even heed that."""

    def __init__(self, *, heeds: bool) -> None:
        self._heeds = heeds
        self._stopped = threading.Event()
        self._left = threading.Event()
        self.stops = 0

    def start(self, sink: Sink) -> None:
        def run() -> None:
            count = 0
            while not self._left.wait(0.005):
                count += 1
                sink(Delta("x", count))
                if self._stopped.is_set() and self._heeds:
                    sink(END)
                    return

        threading.Thread(target=run, daemon=True).start()

    def stop(self) -> None:
        self.stops += 1
        self._stopped.set()

    def leave(self) -> None:
        self._left.set()


def test_the_first_ctrl_c_stops_the_answer_and_its_end_is_still_read() -> None:
    model = Model(heeds=True)
    seen: list[Event] = []
    with Inbox(model.stop) as inbox:
        for events in inbox.events(model.start):
            if not seen:
                interrupt()
            seen += events
    assert (model.stops, inbox.stopped, seen[-1]) == (1, True, END)


def test_the_second_one_waits_no_longer() -> None:
    model = Model(heeds=False)

    def read_and_interrupt() -> None:
        with Inbox(model.stop) as inbox:
            for _ in inbox.events(model.start):
                interrupt()

    with pytest.raises(KeyboardInterrupt):
        read_and_interrupt()
    model.leave()
    assert model.stops == 1


def test_two_at_once_stop_the_answer_all_the_same() -> None:
    """Both came while the screen was drawn: nobody reads the answer any more, and the model must not go on with it."""
    model = Model(heeds=False)

    def read_and_interrupt_twice() -> None:
        with Inbox(model.stop) as inbox:
            for _ in inbox.events(model.start):
                interrupt()
                interrupt()

    with pytest.raises(KeyboardInterrupt):
        read_and_interrupt_twice()
    model.leave()
    assert model.stops == 1


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Inbox(lambda: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_an_answer_that_nobody_stops_is_read_to_its_end() -> None:
    with Inbox(lambda: None) as inbox:
        read = [event for events in inbox.events(lambda sink: sink(END)) for event in events]
    assert (read, inbox.stopped) == ([END], False)
