"""What a worker sends: one frame a step, nothing lost or turned round, and no more in memory than the system takes."""

import socket
import threading
from collections.abc import Iterator

import pytest

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.outbox import Outbox
from mlxk2.adapters.worker.pulse import Pulse
from mlxk2.adapters.worker.wire import Reader
from mlxk2.ports.errors import EngineFailure
from mlxk2.ports.generation import Delta, Event, Failed, PromptProgress

Step = tuple[int | None, list[tuple[int, Event]]]


class Listening:
    """The other end of an outbox's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = Reader()

    def steps(self) -> Iterator[Step]:
        """The EVENTS packets, one after the other."""
        while piece := self._socket.recv(65536):
            for packet in self._reader.feed(piece):
                if packet.kind == protocol.EVENTS:
                    body = protocol.happened.read(packet.body)
                    yield body.busy, list(protocol.read_events(body))


@pytest.fixture
def ends() -> Iterator[tuple[Outbox, Listening]]:
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(60)
        yield Outbox(here, lambda: None), Listening(there)


def test_all_events_of_a_step_leave_in_one_frame(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    sent: list[tuple[int, Event]] = [(1, PromptProgress(3, 3)), (2, Delta("a", 1)), (1, Delta("b", 1))]
    for request_id, event in sent:
        outbox.add(request_id, event)
    outbox.end_step(2)
    assert next(parent.steps()) == (2, sent)
    assert outbox.is_empty


def test_a_step_without_events_is_told_too(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    outbox.end_step(1)
    assert next(parent.steps()) == (1, [])


def test_an_event_that_no_step_follows_is_sent_soon(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    pulse = Pulse(outbox, lambda: 1, beat_seconds=60)
    pulse.start()
    outbox.add(1, Delta("a", 1))
    assert next(parent.steps()) == (None, [(1, Delta("a", 1))])
    pulse.stop()


def test_whoever_sends_finds_out_that_the_parent_is_gone() -> None:
    here, there = socket.socketpair()
    found_out = threading.Event()
    with here:
        there.close()
        Outbox(here, found_out.set).end_step(0)
    assert found_out.is_set()


def test_an_event_that_cannot_be_sent_fails_its_own_request_only(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    outbox.add(1, Delta("half a pair: \ud83d", 1))
    outbox.add(2, Delta("fine", 1))
    outbox.end_step(2)
    steps = parent.steps()
    _, ((request_id, failed),) = next(steps)
    assert request_id == 1
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, EngineFailure)
    assert next(steps) == (None, [(2, Delta("fine", 1))])
    assert next(steps) == (2, [])


@pytest.mark.parametrize("ends_steps", [True, False])
def test_whoever_makes_events_waits_for_a_parent_that_does_not_read(
    ends: tuple[Outbox, Listening], ends_steps: bool
) -> None:
    outbox, parent = ends
    total = 50_000

    def work() -> None:
        for number in range(total):
            outbox.add(1, Delta("some words ", number))
            if ends_steps:
                outbox.end_step(1)
        outbox.flush()

    engine = threading.Thread(target=work, daemon=True)
    engine.start()
    engine.join(2)
    assert engine.is_alive()
    steps = parent.steps()
    arrived: list[int] = []
    while len(arrived) < total:
        _, events = next(steps)
        arrived += [event.generated_tokens for _, event in events if isinstance(event, Delta)]
    assert arrived == list(range(total))
    engine.join()
