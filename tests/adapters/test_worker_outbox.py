"""What a worker sends: one frame a step, nothing lost or turned round, and no more in memory than the system takes."""

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.outbox import Outbox
from mlxk2.adapters.worker.pulse import Pulse
from mlxk2.adapters.worker.wire import Packet, Reader
from mlxk2.ports.engine import EngineStats
from mlxk2.ports.errors import EngineFailure
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, PromptProgress

FINISHED = Finished(FinishReason.STOP, 1, 1, 0.5, 0.5)

Step = tuple[int | None, list[tuple[int, Event]]]


class Listening:
    """The other end of an outbox's socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = Reader()

    def packets(self) -> Iterator[Packet]:
        while piece := self._socket.recv(65536):
            yield from self._reader.feed(piece)

    def happenings(self) -> Iterator[protocol.Happened]:
        """The EVENTS packets, one after the other."""
        return (protocol.happened.read(packet.body) for packet in self.packets() if packet.kind == protocol.EVENTS)

    def steps(self) -> Iterator[Step]:
        return ((body.busy, list(protocol.read_events(body))) for body in self.happenings())


class Counting:
    """An engine's numbers, of which `steps` says how often they were asked for."""

    def __init__(self) -> None:
        self._asked = itertools.count(1)

    def __call__(self) -> EngineStats:
        return EngineStats(steps=next(self._asked))


@pytest.fixture
def times() -> list[float]:
    """What a clock has shown; the last is now."""
    return [0.0]


@pytest.fixture
def ends(times: list[float]) -> Iterator[tuple[Outbox, Listening]]:
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(60)
        yield Outbox(here, lambda: None, Counting(), lambda: times[-1]), Listening(there)


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


def test_a_step_whose_events_have_left_is_told_again_only_when_something_has_changed(
    ends: tuple[Outbox, Listening],
) -> None:
    outbox, parent = ends
    for number, busy in enumerate((2, 2, 1), 1):
        outbox.add(number, Delta("a", 1))
        outbox.end_step(2)  # in the middle of a step
        outbox.end_step(busy)
    assert [(busy, len(events)) for busy, events in itertools.islice(parent.steps(), 4)] == [
        (2, 1),
        (2, 1),
        (2, 1),
        (1, 0),
    ]


def test_a_step_without_events_is_told_when_the_last_numbers_are_stale(
    ends: tuple[Outbox, Listening], times: list[float]
) -> None:
    outbox, parent = ends
    for now in (0.0, 0.2, 0.3):
        times.append(now)
        outbox.end_step(1)
    assert [body.stats and body.stats.steps for body in itertools.islice(parent.happenings(), 2)] == [1, 2]


def test_an_event_that_no_step_follows_is_sent_soon(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    pulse = Pulse(outbox, lambda: 1, beat_seconds=60)
    pulse.start()
    outbox.add(1, Delta("a", 1))
    assert next(parent.steps()) == (None, [(1, Delta("a", 1))])
    pulse.stop()


def test_numbers_come_with_the_steps_in_which_requests_come_or_go(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    happenings = parent.happenings()
    for busy in (1, 1, 2, 2, 2):
        outbox.add(1, Delta("a", 1))
        outbox.end_step(busy)
    assert [body.stats and body.stats.steps for body in itertools.islice(happenings, 5)] == [1, None, 2, None, None]
    outbox.add(1, FINISHED)  # and another takes its place, so that as many are busy
    outbox.end_step(2)
    outbox.end_step(2)  # the step whose middle that was
    outbox.end_step(2)
    outbox.add(2, Delta("a", 1))
    outbox.end_step(2)
    assert [body.stats and body.stats.steps for body in itertools.islice(happenings, 3)] == [3, 4, None]


def test_numbers_come_with_a_step_too_when_the_last_ones_are_stale(
    ends: tuple[Outbox, Listening], times: list[float]
) -> None:
    outbox, parent = ends
    for now in (0.0, 0.2, 0.3, 0.5, 0.6):
        times.append(now)
        outbox.add(1, Delta("a", 1))
        outbox.end_step(1)
    happenings = itertools.islice(parent.happenings(), 5)
    assert [body.stats and body.stats.steps for body in happenings] == [1, None, 2, None, 3]


def test_an_end_between_two_steps_brings_numbers_and_so_does_the_step_that_counts_it(
    ends: tuple[Outbox, Listening],
) -> None:
    outbox, parent = ends
    outbox.add(1, Failed(EngineFailure("no luck")))
    outbox.flush()
    outbox.end_step(0)
    outbox.end_step(0)
    outbox.add(2, Delta("a", 1))
    outbox.end_step(0)
    happenings = itertools.islice(parent.happenings(), 3)
    assert [body.stats and body.stats.steps for body in happenings] == [1, 2, None]


def test_the_last_requests_end_is_followed_by_a_beat_with_the_numbers(ends: tuple[Outbox, Listening]) -> None:
    outbox, parent = ends
    busy = itertools.chain([2, 1], itertools.repeat(0))
    pulse = Pulse(outbox, lambda: next(busy), beat_seconds=60)
    pulse.start()
    beats = (protocol.beat.read(packet.body) for packet in parent.packets() if packet.kind == protocol.BEAT)
    first, second = itertools.islice(beats, 2)
    assert (first.busy, first.stats.steps, second.busy, second.stats.steps) == (2, 1, 0, 2)
    pulse.stop()


def test_whoever_sends_finds_out_that_the_parent_is_gone() -> None:
    here, there = socket.socketpair()
    found_out = threading.Event()
    with here:
        there.close()
        Outbox(here, found_out.set, EngineStats).end_step(1)
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
