"""The gate before an engine: places, turns, refusals and ends, with the scripted engine behind it."""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryClock, MemoryEngine
from mlxk2.domain.admission import Admission, Limits
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.errors import (
    ContextExceeded,
    EngineFailure,
    Mlxk2Error,
    NotEnoughMemory,
    OperationError,
    Overloaded,
    ValidationError,
)
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, GenerationRequest, Queued, Sink

WAIT_SECONDS = 60.0


class Ear:
    """A sink that keeps what it hears, in order, and can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._over = threading.Event()

    def __call__(self, event: Event) -> None:
        assert not self._over.is_set(), "an event after the last one"
        self.events.append(event)
        if isinstance(event, (Finished, Failed)):
            self._over.set()

    def last(self) -> Event:
        assert self._over.wait(WAIT_SECONDS)
        return self.events[-1]

    @property
    def places(self) -> list[int]:
        return [event.place for event in self.events if isinstance(event, Queued)]

    @property
    def text(self) -> str:
        self.last()
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def error(self) -> Mlxk2Error:
        last = self.last()
        assert isinstance(last, Failed)
        return last.error

    @property
    def reason(self) -> FinishReason:
        last = self.last()
        assert isinstance(last, Finished)
        return last.reason


class Bench:
    """A gate with one row before an engine that stands still until `go`: it repeats each prompt."""

    def __init__(self, *, rows: int = 1, budget: int | None = 100, line: int = 10, context: int | None = None) -> None:
        self._open = threading.Event()
        self.clock = MemoryClock()
        self.engine = MemoryEngine(self._answer, info=MEMORY_INFO._replace(context_length=context))
        admission = Admission(MEMORY_INFO.kv, Limits(rows, budget, line, patience=60))
        self.gate = RequestGate(self.engine, admission, self.clock, threading.RLock())

    def go(self) -> None:
        self._open.set()

    def ask(self, text: str, max_tokens: int = 10) -> tuple[int, Ear]:
        ear = Ear()
        return self.gate.submit(request(text, max_tokens), ear), ear

    @property
    def started(self) -> list[str]:
        return ["".join(map(chr, started.prompt)) for started in self.engine.requests]

    def _answer(self, prompt: str) -> str:
        assert self._open.wait(WAIT_SECONDS)
        if prompt == "broken":
            raise OperationError("The script broke")
        return prompt


def request(text: str, max_tokens: int = 10) -> GenerationRequest:
    return GenerationRequest(tuple(map(ord, text)), max_tokens)


Make = Callable[..., Bench]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes benches, and lets their engines end."""
    benches: list[Bench] = []

    def new(**options: int | None) -> Bench:
        benches.append(Bench(**options))  # type: ignore[arg-type]
        return benches[-1]

    yield new
    for bench in benches:
        bench.go()
        bench.gate.close()


def test_what_may_begin_reaches_the_engine_at_once_and_its_events_come_through(make: Make) -> None:
    bench = make()
    bench.go()
    _, ear = bench.ask("hello")
    alone = Ear()
    ear.last()
    bench.engine.start(request("hello"), alone)
    alone.last()
    assert ear.events == alone.events


def test_who_waits_hears_its_place_and_every_change_of_it(make: Make) -> None:
    bench = make()
    ears = [bench.ask(text)[1] for text in ("a", "b", "c", "d")]
    assert [ear.places for ear in ears] == [[], [1], [2], [3]]
    assert bench.gate.waiting == 3
    bench.go()
    assert [ear.reason for ear in ears] == [FinishReason.STOP] * 4
    assert [ear.places for ear in ears] == [[], [1], [2, 1], [3, 2, 1]]
    assert bench.started == ["a", "b", "c", "d"]


def test_nobody_who_waits_is_in_the_engine(make: Make) -> None:
    bench = make()
    bench.ask("a")
    bench.ask("b")
    assert bench.started == ["a"]


def test_memory_decides_who_begins_together(make: Make) -> None:
    bench = make(rows=8, budget=100)
    for text in ("a", "b", "c"):
        bench.ask(text, max_tokens=39)
    assert bench.started == ["a", "b"]


def test_a_cancelled_request_in_the_line_ends_at_once_and_the_others_move_up(make: Make) -> None:
    bench = make()
    bench.ask("a")
    ticket, second = bench.ask("bb")
    _, third = bench.ask("c")
    bench.clock.advance(2.5)
    bench.gate.cancel(ticket)
    assert second.events[1:] == [Finished(FinishReason.CANCELLED, 2, 0, 0.0, 2.5)]
    assert third.places == [2, 1]
    bench.go()
    third.last()
    assert bench.started == ["a", "c"]


def test_a_running_request_is_cancelled_in_the_engine_and_makes_room(make: Make) -> None:
    bench = make()
    ticket, first = bench.ask("a" * 50, max_tokens=50)
    _, second = bench.ask("b")
    bench.gate.cancel(ticket)
    bench.go()
    assert first.reason is FinishReason.CANCELLED
    assert second.reason is FinishReason.STOP


def test_cancelling_what_is_unknown_or_over_is_harmless(make: Make) -> None:
    bench = make()
    bench.go()
    ticket, ear = bench.ask("a")
    ear.last()
    bench.gate.cancel(ticket)
    bench.gate.cancel(10**9)
    assert bench.ask("b")[1].reason is FinishReason.STOP


def test_a_request_that_fails_makes_room_for_the_next(make: Make) -> None:
    bench = make()
    _, first = bench.ask("broken")
    _, second = bench.ask("b")
    bench.go()
    assert first.error.message == "The script broke"
    assert second.text == "b"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (request("a", 500), NotEnoughMemory),
        (request("a" * 2000, 1), ContextExceeded),
        (request("a", 0), ValidationError),
        (GenerationRequest((), 5), ValidationError),
        (request("a")._replace(max_tokens="many"), ValidationError),  # type: ignore[arg-type]
    ],
)
def test_what_can_never_be_answered_is_refused_without_a_wait(
    make: Make, wrong: GenerationRequest, kind: type[Mlxk2Error]
) -> None:
    bench = make(context=1000)
    bench.ask("a")
    bench.ask("b")
    ear = Ear()
    bench.gate.submit(wrong, ear)
    (event,) = ear.events
    assert isinstance(event, Failed)
    assert type(event.error) is kind
    with pytest.raises(kind):
        bench.gate.check(wrong)


def test_the_context_bounds_what_a_request_can_need(make: Make) -> None:
    bench = make(context=50, budget=50)
    bench.go()
    bench.gate.check(request("a", 10**6))
    assert bench.ask("a", max_tokens=10**6)[1].text == "a"


def test_a_full_line_refuses(make: Make) -> None:
    bench = make(line=1)
    bench.ask("a")
    bench.ask("b")
    assert isinstance(bench.ask("c")[1].error, Overloaded)


def test_who_has_waited_too_long_is_out_when_the_next_request_comes(make: Make) -> None:
    bench = make(line=1)
    bench.ask("a")
    _, second = bench.ask("b")
    bench.clock.advance(61)
    _, third = bench.ask("c")
    assert isinstance(second.error, Overloaded)
    assert "waited 61 s" in second.error.message
    assert third.places == [1]


def test_who_has_waited_too_long_is_out_when_an_event_passes(make: Make) -> None:
    bench = make()
    _, first = bench.ask("a")
    _, second = bench.ask("b")
    bench.clock.advance(61)
    bench.go()
    assert isinstance(second.error, Overloaded)
    assert first.reason is FinishReason.STOP
    assert bench.started == ["a"]


def test_who_has_waited_too_long_is_out_when_time_passes_and_nothing_else_happens(make: Make) -> None:
    bench = make()
    bench.ask("a")
    _, second = bench.ask("b")
    bench.clock.advance(61)
    bench.gate.pass_time()
    assert isinstance(second.error, Overloaded)
    assert bench.gate.waiting == 0


def test_when_somebody_has_waited_too_long_the_others_move_up_at_once(make: Make) -> None:
    bench = make()
    ear = Ear()

    def sink(event: Event) -> None:
        if not ear.events:
            bench.clock.advance(31)
        ear(event)

    bench.gate.submit(request("a"), sink)
    _, second = bench.ask("b")
    bench.clock.advance(30)
    _, third = bench.ask("c")
    bench.go()
    assert isinstance(second.error, Overloaded)
    assert third.reason is FinishReason.STOP
    assert third.places == [2, 1]


def test_when_the_first_in_line_has_waited_too_long_whoever_fits_begins(make: Make) -> None:
    bench = make(rows=8, budget=100)
    bench.ask("a", max_tokens=49)
    _, large = bench.ask("b", max_tokens=99)
    bench.clock.advance(30)
    bench.ask("c")
    bench.clock.advance(31)
    bench.ask("d" * 90)
    assert isinstance(large.error, Overloaded)
    assert bench.started == ["a", "c"]


def test_places_and_ends_come_in_order_also_from_several_threads(make: Make) -> None:
    bench = make()
    bench.ask("a")
    inside, goes_on = threading.Event(), threading.Event()
    ear = Ear()

    def sink(event: Event) -> None:
        if isinstance(event, Queued):
            inside.set()
            assert goes_on.wait(WAIT_SECONDS)
        ear(event)

    asking = threading.Thread(target=bench.gate.submit, args=(request("b"), sink))
    asking.start()
    assert inside.wait(WAIT_SECONDS)
    bench.gate.cancel(2)  # returns although the sink is still busy with its place
    goes_on.set()
    asking.join()
    assert [type(event) for event in ear.events] == [Queued, Finished]


class SlowToReturn(MemoryEngine):
    """Returns from `start` when the request's sink has heard something."""

    def start(self, request: GenerationRequest, sink: Sink) -> int:
        heard = threading.Event()

        def hear(event: Event) -> None:
            sink(event)
            heard.set()

        request_id = super().start(request, hear)
        assert heard.wait(WAIT_SECONDS)
        return request_id


def test_a_request_can_be_cancelled_before_its_start_has_returned() -> None:
    engine = SlowToReturn(lambda _: "x" * 10**6)
    gate = RequestGate(engine, Admission(MEMORY_INFO.kv, Limits(1, None)), MemoryClock(), threading.RLock())
    ear = Ear()

    def sink(event: Event) -> None:
        ear(event)
        if len(ear.events) == 1:
            gate.cancel(1)

    gate.submit(request("a", 10**6), sink)
    assert ear.reason is FinishReason.CANCELLED
    gate.close()


def test_a_sink_that_raises_ends_its_own_request_and_no_other(make: Make) -> None:
    bench = make()
    heard: list[Event] = []

    def raise_at(kind: type[Event]) -> Sink:
        def sink(event: Event) -> None:
            heard.append(event)
            if isinstance(event, kind):
                raise RuntimeError("a defect of whoever listens")

        return sink

    bench.ask("a")
    bench.gate.submit(request("b"), raise_at(Queued))
    bench.gate.submit(request("c" * 20, 20), raise_at(Delta))
    bench.gate.submit(request("d"), raise_at(Finished))
    _, last = bench.ask("e")
    bench.go()
    assert last.text == "e"
    assert bench.started == ["a", "c" * 20, "d", "e"]
    assert sum(isinstance(event, Delta) for event in heard) == 1 + 1


def test_a_sink_may_ask_and_cancel_from_within(make: Make) -> None:
    bench = make()
    bench.go()
    inner, after = Ear(), Ear()

    def sink(event: Event) -> None:
        if isinstance(event, Finished):
            bench.gate.cancel(bench.gate.submit(request("inner"), inner))
            bench.gate.submit(request("after"), after)

    bench.gate.submit(request("outer"), sink)
    assert inner.reason is FinishReason.CANCELLED
    assert after.text == "after"


def test_a_request_cancelled_by_its_own_first_place_never_reaches_the_engine(make: Make) -> None:
    bench = make()
    bench.ask("a")
    ear = Ear()
    known: queue.SimpleQueue[int] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        ear(event)
        if isinstance(event, Queued) and event.place == 1:
            bench.gate.cancel(known.get(timeout=WAIT_SECONDS))

    waiting, _ = bench.ask("b")
    known.put(bench.gate.submit(request("c"), sink))
    bench.gate.cancel(waiting)
    assert ear.reason is FinishReason.CANCELLED
    bench.go()
    assert bench.ask("d")[1].text == "d"
    assert "c" not in bench.started


def test_a_request_cancelled_when_its_turn_has_come_never_reaches_the_engine(make: Make) -> None:
    bench = make(rows=8, budget=100)
    bench.ask("a", max_tokens=49)
    ear = Ear()

    def sink(event: Event) -> None:
        if isinstance(event, Finished):
            bench.gate.cancel(3)

    large = bench.gate.submit(request("b", 99), sink)
    small = bench.gate.submit(request("c"), ear)
    assert (large, small) == (2, 3)
    bench.gate.cancel(large)
    assert ear.reason is FinishReason.CANCELLED
    assert bench.started == ["a"]


def test_closing_ends_everyone_as_cancelled_and_lets_nobody_begin(make: Make) -> None:
    bench = make(rows=8, budget=100)
    _, running = bench.ask("a", max_tokens=49)
    ears = [bench.ask(text, most)[1] for text, most in (("b", 99), ("c", 9))]
    closing = threading.Thread(target=bench.gate.close)
    closing.start()
    assert [ear.reason for ear in ears] == [FinishReason.CANCELLED] * 2
    bench.go()
    closing.join()
    running.last()
    assert bench.started == ["a"]
    assert bench.engine.closed
    assert isinstance(bench.ask("d")[1].error, EngineFailure)


def test_from_many_threads_everyone_gets_one_end_and_the_bounds_hold(make: Make) -> None:
    bench = make(rows=3, budget=100, line=1000)
    bench.go()
    worst: Counter[str] = Counter()
    ears: queue.SimpleQueue[Ear] = queue.SimpleQueue()

    def work(number: int) -> None:
        for turn in range(30):
            ear = Ear()
            ticket = bench.gate.submit(request("x" * (1 + turn % 13), 1 + (turn * 7 + number) % 30), measuring(ear))
            ears.put(ear)
            if turn % 3 == 0:
                bench.gate.cancel(ticket)

    def measuring(ear: Ear) -> Sink:
        def sink(event: Event) -> None:
            stats = bench.engine.stats()
            worst["rows"] = max(worst["rows"], stats.waiting + stats.prefilling + stats.decoding)
            worst["bytes"] = max(worst["bytes"], stats.kv_bytes)
            ear(event)

        return sink

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = [ears.get_nowait().last() for _ in range(180)]
    assert all(isinstance(end, Finished) for end in ends)
    assert 0 < worst["bytes"] <= 100
    assert worst["rows"] <= 3


class TestFollowing:
    """A request that is cut, and another that takes its place."""

    def test_the_other_one_begins_before_anybody_who_waits(self, make: Make) -> None:
        bench = make()
        heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        ticket = bench.gate.submit(request("first"), heard.put)
        _, waiting = bench.ask("waits")
        assert bench.gate.follow(ticket, request("and on"))
        bench.go()
        kinds = [_next_end(heard), _next_end(heard)]
        assert kinds == [FinishReason.CANCELLED, FinishReason.STOP]
        assert waiting.reason is FinishReason.STOP
        assert bench.started == ["first", "and on", "waits"]

    def test_what_waits_has_no_place_to_give(self, make: Make) -> None:
        bench = make()
        _, first = bench.ask("first")
        ticket, second = bench.ask("second")
        assert not bench.gate.follow(ticket, request("and on"))
        bench.go()
        assert (first.reason, second.text) == (FinishReason.STOP, "second")

    def test_what_is_over_or_unknown_has_none_either(self, make: Make) -> None:
        bench = make()
        bench.go()
        ticket, ear = bench.ask("first")
        ear.last()
        assert not bench.gate.follow(ticket, request("and on"))
        assert not bench.gate.follow(99, request("and on"))
        assert bench.started == ["first"]

    def test_whoever_is_cancelled_afterwards_is_not_continued(self, make: Make) -> None:
        bench = make()
        ticket, first = bench.ask("first")
        assert bench.gate.follow(ticket, request("and on"))
        bench.gate.cancel(ticket)
        bench.go()
        assert first.reason is FinishReason.CANCELLED
        _, second = bench.ask("second")
        assert second.text == "second"
        assert bench.started == ["first", "second"]


def _next_end(heard: "queue.SimpleQueue[Event]") -> FinishReason:
    while not isinstance(event := heard.get(timeout=WAIT_SECONDS), Finished):
        assert not isinstance(event, Failed)
    return event.reason
