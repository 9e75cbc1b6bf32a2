"""A server's models with a background of real threads: closing, and many who ask at once."""

import queue
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, ServeLimits, Told
from mlxk2.ports.engine import Engine, LoadOptions, Watch, unwatched
from mlxk2.ports.errors import EngineFailure, Overloaded
from mlxk2.ports.generation import GenerationRequest
from tests.domain.serving import TWO_MODELS, WAIT_SECONDS, Bench, Listener, in_thread
from tests.domain.test_serve_requests import Ear


@pytest.fixture
def bench() -> Bench:
    return Bench(spawn=in_thread)


def engines_are_closed(bench: Bench) -> bool:
    return all(engine.closed for engines in bench.loader.engines.values() for engine in engines)


def test_closing_refuses_who_waits_ends_all_engines_and_can_be_done_twice(bench: Bench) -> None:
    leases = [bench.ask(name).lease for name in ("org/a", "org/b")]
    waiting = bench.ask("org/c")
    bench.models.close()
    assert isinstance(waiting.error, Overloaded)
    assert engines_are_closed(bench)
    bench.models.close()
    assert bench.models.status().models == ()
    assert isinstance(bench.ask("org/a").error, Overloaded)
    for lease in leases:
        lease.release()


def test_closing_ends_running_requests(bench: Bench) -> None:
    goes_on = threading.Event()
    bench.loader.script = lambda prompt: prompt if goes_on.wait(WAIT_SECONDS) else ""
    lease, ear = bench.ask("org/a").lease, Ear()
    lease.gate.submit(GenerationRequest((1,), 5), ear)
    closing = threading.Thread(target=bench.models.close)
    closing.start()
    goes_on.set()
    ear.last()
    closing.join(WAIT_SECONDS)
    assert not closing.is_alive()


def holding_on(bench: Bench, name: str) -> Listener:
    """Somebody waits for a model whose load goes on until it is aborted."""
    bench.loader.hold(name)
    listener, begun = Listener(), threading.Event()

    def listen(news: Told) -> None:
        listener(news)
        if news == LoadProgress("holding on"):
            begun.set()

    bench.models.want(name, listen)
    assert begun.wait(WAIT_SECONDS)
    return listener


def test_closing_does_not_wait_for_a_model_to_be_loaded(bench: Bench) -> None:
    listener = holding_on(bench, "org/a")
    bench.models.close()
    assert bench.loader.aborted == ["org/a"]
    assert isinstance(listener.error, Overloaded)
    assert bench.models.status().models == ()


def test_a_load_that_the_operator_broke_off_is_followed_by_a_new_one(bench: Bench) -> None:
    first = holding_on(bench, "org/a")
    bench.models.unload("org/a", force=True)
    assert "unloaded by the operator" in first.error.message
    assert bench.ask("org/a").lease.offer.name == "org/a"
    assert bench.loader.aborted == ["org/a"]
    bench.models.close()


def test_a_load_is_broken_off_as_soon_as_it_can_be(bench: Bench) -> None:
    """Before it has said how."""
    may_say, closing = threading.Event(), threading.Thread(target=bench.models.close)
    bench.loader.hold("org/a")
    load = bench.loader.load
    asked = threading.Event()

    def slow(location: str, options: LoadOptions, watch: Watch = unwatched) -> Engine:
        asked.set()
        assert may_say.wait(WAIT_SECONDS)
        return load(location, options, watch)

    bench.loader.load = slow  # type: ignore[method-assign]
    listener = bench.ask("org/a")
    assert asked.wait(WAIT_SECONDS)
    closing.start()
    assert isinstance(listener.error, Overloaded)
    may_say.set()
    closing.join(WAIT_SECONDS)
    assert bench.loader.aborted == ["org/a"]
    assert not closing.is_alive()


def test_from_many_threads_everybody_gets_one_end_and_every_lease_works() -> None:
    bench = Bench(spawn=in_thread, limits=ServeLimits(TWO_MODELS, keep_alive=0.001))
    bench.loader.errors["org/b"] = EngineFailure("out of luck")
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()

    def work(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - the same every time
        for _ in range(25):
            listener = bench.ask(chance.choice(["org/a", "org/b", "org/c", "a", "org/x"]))
            if chance.random() < 0.2:
                bench.models.give_up(listener.want)
                continue
            end = listener.end()
            if isinstance(end, Lease):
                ear = Ear()
                end.gate.submit(GenerationRequest((65,), 1), ear)
                assert ear.text == "A"
                end.release()
            ends.put(type(end).__name__)
            bench.clock.advance(0.5)
            bench.models.pass_time()

    with ThreadPoolExecutor(8) as threads:
        for outcome in [threads.submit(work, number) for number in range(8)]:
            outcome.result(WAIT_SECONDS)
    counts = Counter(ends.get() for _ in range(ends.qsize()))
    assert counts["Lease"] > 20
    assert counts["Refused"] > 20
    bench.models.close()
    assert engines_are_closed(bench)
    assert bench.models.status().models == ()
