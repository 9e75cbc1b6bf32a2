"""A server's models: shared, loaded in the background, unloaded for others, and always with one end for everybody."""

import threading

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryMachine
from mlxk2.domain.budget import PROCESS
from mlxk2.domain.usecases.serve_models import LoadProgress, PoolStatus, ServeLimits, Told
from mlxk2.ports.engine import KvCost, KvLayers
from mlxk2.ports.errors import (
    Conflict,
    EngineFailure,
    InternalError,
    Mlxk2Error,
    ModelNotFound,
    NotEnoughMemory,
    OperationError,
    Overloaded,
)
from mlxk2.ports.generation import Failed, GenerationRequest
from tests.domain.serving import TWO_MODELS, WAIT_SECONDS, Bench, Listener, tiny
from tests.domain.test_serve_requests import Ear

MB = 10**6


def loaded(bench: Bench) -> list[str]:
    return [status.offer.name for status in bench.models.status().models if status.offer.state == "loaded"]


def test_the_first_want_loads_the_model_and_hears_how_it_goes() -> None:
    bench = Bench()
    listener = bench.ask("org/a")
    assert listener.heard == []
    bench.background.run()
    assert listener.stages == ["starting the model's process", "reading the script"]
    lease = listener.lease
    assert (lease.offer.name, lease.offer.state) == ("org/a", "loaded")
    assert lease.engine is bench.loader.engines["org/a"][0]


def test_all_names_of_a_snapshot_share_one_engine() -> None:
    bench = Bench()
    commit = bench.models.find("org/a").commit
    names = ["org/a", "a", "org/a@" + commit[:6], "A@" + commit]
    leases = [bench.want(name).lease for name in names]
    assert len({id(lease.engine) for lease in leases}) == 1
    assert len(bench.loader.loaded) == 1


def test_a_lease_answers_requests() -> None:
    bench = Bench()
    lease, ear = bench.want("org/a").lease, Ear()
    lease.gate.submit(GenerationRequest(tuple(map(ord, "hello")), 5), ear)
    assert ear.text == "hello"


def test_a_loaded_model_is_had_at_once_without_any_work() -> None:
    bench = Bench()
    bench.want("org/a")
    again = bench.ask("org/a")
    assert bench.background.is_empty
    assert again.lease.offer.name == "org/a"


def test_what_a_name_means_is_looked_up_again_after_two_seconds() -> None:
    bench = Bench()
    bench.want("org/a")
    bench.clock.advance(2)
    again = bench.ask("org/a")
    assert again.heard == []
    bench.background.run()
    assert again.lease.offer.name == "org/a"
    assert len(bench.loader.loaded) == 1


def test_requests_for_a_loaded_model_flow_while_another_one_loads() -> None:
    bench = Bench()
    bench.want("org/a")
    other = bench.ask("org/b")
    bench.background.step()  # it is known what that means, and not loaded yet
    assert bench.ask("org/a").has_ended
    assert not other.has_ended


def test_who_comes_while_a_model_loads_hears_where_it_is() -> None:
    bench = Bench()
    bench.ask("org/a")
    bench.background.step()
    assert bench.ask("org/a").stages == ["starting the model's process"]


def test_not_everything_is_remembered() -> None:
    bench = Bench()
    for number in range(2000):
        assert isinstance(bench.want(f"org/unknown-{number}").error, ModelNotFound)
    bench.clock.advance(2)
    bench.want("org/a")
    assert bench.ask("org/a").has_ended


def test_requests_that_come_together_share_one_look_at_the_cache_and_one_load() -> None:
    bench = Bench()
    listeners = [bench.ask("org/a") for _ in range(10)]
    bench.background.run()
    assert len({id(listener.lease.engine) for listener in listeners}) == 1
    assert len(bench.loader.loaded) == 1


def test_a_model_that_does_not_fit_makes_an_idle_one_go() -> None:
    bench = Bench()
    bench.want("org/a").lease.release()
    bench.want("org/b").lease.release()
    bench.want("org/c")
    assert loaded(bench) == ["org/b", "org/c"]
    assert bench.loader.engines["org/a"][0].closed


def test_a_busy_model_stays_and_the_newcomer_hears_that_it_waits() -> None:
    bench = Bench()
    leases = [bench.want(name).lease for name in ("org/a", "org/b")]
    newcomer = bench.want("org/c")
    assert newcomer.heard == [LoadProgress("waiting until other models make room")]
    leases[1].release()
    bench.background.run()
    assert loaded(bench) == ["org/a", "org/c"]
    assert newcomer.lease.offer.name == "org/c"
    assert newcomer.stages[1] == "starting the model's process"


def test_a_lease_may_be_released_twice() -> None:
    bench = Bench()
    first, second = bench.want("org/a").lease, bench.want("org/a").lease
    first.release()
    first.release()
    assert bench.models.status().models[0].busy == 1
    second.release()
    assert bench.models.status().models[0].busy == 0


def test_an_unknown_model_evicts_nothing() -> None:
    bench = Bench()
    bench.want("org/a").lease.release()
    bench.want("org/b").lease.release()
    for name in ("org/x", "zzz", "", "../etc", "a@zz", "org/a@000"):
        assert isinstance(bench.want(name).error, Mlxk2Error)
    assert loaded(bench) == ["org/a", "org/b"]


def test_a_model_that_can_never_fit_evicts_nothing_and_is_refused_with_both_numbers() -> None:
    bench = Bench(limits=ServeLimits(memory=PROCESS // 2))
    error = bench.want("org/a").error
    assert isinstance(error, NotEnoughMemory)
    assert error.limit_bytes == PROCESS // 2
    assert error.needed_bytes > PROCESS
    assert bench.loader.loaded == []


def test_a_load_that_fails_tells_everybody_who_waits_and_is_tried_again_later() -> None:
    bench = Bench()
    bench.loader.errors["org/a"] = OperationError("The weights are made of cheese")
    listeners = [bench.ask("org/a"), bench.ask("a")]
    bench.background.run()
    assert [listener.error.message for listener in listeners] == ["The weights are made of cheese"] * 2
    assert bench.models.status().models == ()
    del bench.loader.errors["org/a"]
    bench.clock.advance(10)
    assert bench.want("org/a").lease.offer.name == "org/a"


def test_a_model_that_could_not_be_loaded_pushes_out_no_other_for_a_while() -> None:
    bench = Bench(limits=ServeLimits(most_models=1))
    bench.loader.errors["org/a"] = OperationError("The weights are made of cheese")
    bench.want("org/a")
    bench.want("org/b").lease.release()
    for _ in range(3):
        assert bench.want("org/a").error.message == "The weights are made of cheese"
    assert loaded(bench) == ["org/b"]


def test_a_model_whose_process_broke_while_it_was_loaded_is_tried_once_more_at_once() -> None:
    bench = Bench()
    bench.loader.errors["org/a"] = EngineFailure("The process was killed")
    bench.want("org/a")
    del bench.loader.errors["org/a"]
    assert bench.want("org/a").lease.offer.name == "org/a"


def test_a_model_whose_process_breaks_twice_pushes_out_no_other_for_a_while() -> None:
    bench = Bench(limits=ServeLimits(most_models=1))
    bench.loader.errors["org/a"] = EngineFailure("The process was killed")
    bench.want("org/a")
    bench.want("org/a")
    bench.want("org/b").lease.release()
    assert bench.want("org/a").error.message == "The process was killed"
    assert loaded(bench) == ["org/b"]
    bench.clock.advance(10)
    del bench.loader.errors["org/a"]
    assert bench.want("org/a").lease.offer.name == "org/a"


def test_a_defect_of_a_loader_is_an_error_like_any_other() -> None:
    bench = Bench()
    bench.loader.errors["org/a"] = RuntimeError("a defect")
    error = bench.want("org/a").error
    assert isinstance(error, EngineFailure)
    assert error.message == "'org/a' could not be loaded: a defect"


def test_a_defect_of_a_lookup_is_an_error_like_any_other() -> None:
    bench = Bench()
    bench.cache.broken = RuntimeError("a defect")
    error = bench.want("org/a").error
    assert type(error) is InternalError
    assert error.message == "The model could not be looked up: a defect"


def test_who_gives_up_while_it_waits_hears_nothing_more() -> None:
    bench = Bench()
    listener = bench.ask("org/a")
    bench.models.give_up(listener.want)
    bench.background.run()
    assert listener.heard == []
    bench.models.give_up(listener.want)
    bench.models.give_up(10**9)


def test_who_gives_up_while_the_model_loads_leaves_it_to_others() -> None:
    bench = Bench()
    first = bench.ask("org/a")
    bench.background.step()
    bench.models.give_up(first.want)
    second = bench.want("org/a")
    assert not first.has_ended
    second.lease.release()
    assert bench.models.status().models[0].busy == 0


def test_giving_up_what_one_has_already_releases_it() -> None:
    bench = Bench()
    listener = bench.want("org/a")
    bench.models.give_up(listener.want)
    assert listener.has_ended
    assert bench.models.status().models[0].busy == 0


def test_a_listener_that_raises_holds_no_model_and_harms_nobody() -> None:
    bench = Bench()

    def raises(news: Told) -> None:
        raise RuntimeError(f"a defect of whoever listens to {news}")

    def raises_too(error: Mlxk2Error | None) -> None:
        raise RuntimeError(f"a defect of whoever listens to {error}")

    bench.models.want("org/a", raises)
    bench.models.want("org/x", raises)
    bench.models.load("org/a", raises_too)
    bench.models.load("org/x", raises_too)
    other = bench.want("org/a")
    other.lease.release()
    assert bench.models.status().models[0].busy == 0


def test_a_listener_may_ask_release_and_give_up_from_within() -> None:
    bench = Bench()
    inner = Listener()

    def listen(news: Told) -> None:
        if not isinstance(news, LoadProgress):
            inner.want = bench.models.want("org/a", inner)
            news.release()  # type: ignore[union-attr]

    bench.models.want("org/a", listen)
    bench.background.run()
    assert inner.lease.offer.name == "org/a"
    assert bench.models.status().models[0].busy == 1


def test_idle_models_go_when_their_time_has_come() -> None:
    bench = Bench(limits=ServeLimits(keep_alive=30))
    lease = bench.want("org/a").lease
    bench.clock.advance(100)
    bench.models.pass_time()
    lease.release()
    bench.clock.advance(29)
    bench.models.pass_time()
    assert loaded(bench) == ["org/a"]
    bench.clock.advance(1)
    bench.models.pass_time()
    bench.background.run()
    assert bench.models.status().models == ()
    assert bench.loader.engines["org/a"][0].closed


def test_memory_is_given_back_once_a_minute() -> None:
    machine = MemoryMachine()
    bench = Bench(machine=machine)
    seen = []
    for _ in range(12):
        bench.clock.advance(15)
        bench.models.pass_time()
        seen.append(machine.releases)
    assert seen == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_whoever_has_waited_too_long_for_memory_is_refused() -> None:
    bench = Bench(limits=ServeLimits(TWO_MODELS, patience=10))
    bench.want("org/a")
    bench.want("org/b")
    newcomer = bench.want("org/c")
    bench.clock.advance(10)
    bench.models.pass_time()
    assert isinstance(newcomer.error, Overloaded)


def test_whoever_has_waited_too_long_before_an_engine_is_refused_too() -> None:
    bench = Bench()
    answers = threading.Event()
    bench.loader.script = lambda prompt: prompt if answers.wait(WAIT_SECONDS) else ""
    gate = bench.want("org/a").lease.gate
    ears = [Ear() for _ in range(33)]
    for ear in ears:
        gate.submit(GenerationRequest((1,), 5), ear)
    assert bench.models.status().models[0].waiting == 1
    bench.clock.advance(300)
    bench.models.pass_time()
    assert isinstance(ears[-1].error, Overloaded)
    answers.set()


def test_the_line_for_a_model_is_as_long_as_the_limits_say() -> None:
    bench = Bench(limits=ServeLimits(queue=1))
    bench.ask("org/a")
    bench.ask("org/a")
    third = bench.ask("org/a")
    bench.background.step()
    assert isinstance(third.error, Overloaded)


def test_loading_ahead_tells_when_it_is_done_and_holds_nothing() -> None:
    bench = Bench()
    told: list[Mlxk2Error | None] = []
    bench.models.load("org/a", told.append)
    bench.models.load("org/x", told.append)
    assert told == []
    bench.background.run()
    assert [type(error).__name__ for error in told] == ["ModelNotFound", "NoneType"]
    (status,) = bench.models.status().models
    assert (status.busy, status.offer.state) == (0, "loaded")


def test_models_loaded_ahead_that_do_not_fit_together_are_an_error() -> None:
    bench = Bench()
    told: list[Mlxk2Error | None] = []
    for name in ("org/a", "org/b", "org/c"):
        bench.models.load(name, told.append)
    bench.background.run()
    assert sorted(type(error).__name__ for error in told) == ["NoneType", "NoneType", "NotEnoughMemory"]
    assert loaded(bench) == ["org/a", "org/b"]


def test_unloading_ends_the_engine_and_what_is_not_loaded_is_left_in_peace() -> None:
    bench = Bench()
    bench.want("org/a").lease.release()
    bench.models.unload("org/b")
    bench.models.unload("a")
    bench.background.run()
    assert loaded(bench) == []
    assert bench.loader.engines["org/a"][0].closed


def test_a_busy_model_is_unloaded_only_by_force_and_its_lease_is_then_of_no_use() -> None:
    bench = Bench()
    lease = bench.want("org/a").lease
    with pytest.raises(Conflict):
        bench.models.unload("org/a")
    bench.models.unload("org/a", force=True)
    bench.background.run()
    ear = Ear()
    lease.gate.submit(GenerationRequest((1,), 5), ear)
    assert isinstance(ear.last(), Failed)
    lease.release()
    assert bench.want("org/a").lease.engine is not lease.engine


def test_a_model_unloaded_by_force_while_it_loads_is_ended_once() -> None:
    bench = Bench()
    listener = bench.ask("org/a")
    bench.background.step()
    bench.models.unload("org/a", force=True)
    bench.background.run()  # the load has ended well before it could be broken off
    assert isinstance(listener.error, Overloaded)
    assert "unloaded by the operator" in listener.error.message
    assert [engine.closed for engine in bench.loader.engines["org/a"]] == [True]
    assert bench.models.status().models == ()


def test_a_model_unloaded_by_force_while_it_loads_is_loaded_anew_for_whoever_comes_after() -> None:
    bench = Bench()
    bench.ask("org/a")
    bench.background.step()
    bench.models.unload("org/a", force=True)
    listener = bench.want("org/a")
    assert [engine.closed for engine in bench.loader.engines["org/a"]] == [True, False]
    assert listener.lease.engine is bench.loader.engines["org/a"][1]


def test_unloading_an_unknown_model_is_an_error() -> None:
    with pytest.raises(Mlxk2Error, match="org/x"):
        Bench().models.unload("org/x")


def test_the_engine_is_told_what_its_memory_allows_and_never_trusts_code() -> None:
    bench = Bench(limits=ServeLimits(memory=4 * PROCESS))
    bench.want("org/a")
    ((_, options),) = bench.loader.loaded
    (status,) = bench.models.status().models
    assert options.trust_remote_code is False
    assert options.context_length == 64
    assert options.memory_limit is not None
    assert 0 < options.prefix_cache_bytes < options.memory_limit - PROCESS
    assert status.bytes <= options.memory_limit


def test_a_prefix_cache_of_a_size_asked_for_is_given() -> None:
    bench = Bench(limits=ServeLimits(prefix_cache=5 * MB))
    bench.want("org/a")
    assert bench.loader.loaded[0][1].prefix_cache_bytes == 5 * MB


def test_what_the_engine_says_of_itself_counts() -> None:
    info = MEMORY_INFO._replace(weights_bytes=150 * MB, kv=KvCost((KvLayers(1000),), block=1), context_length=64)
    bench = Bench(limits=ServeLimits(memory=300 * MB), info=info)
    lease = bench.want("org/a").lease
    (status,) = bench.models.status().models
    assert PROCESS + 165 * MB < status.bytes <= 300 * MB
    lease.gate.check(GenerationRequest((1,) * 32, 32))


def test_requests_get_the_memory_that_the_model_leaves() -> None:
    info = MEMORY_INFO._replace(kv=KvCost((KvLayers(MB),), block=1))
    bench = Bench(limits=ServeLimits(memory=2 * PROCESS), info=info)
    room = bench.want("org/a").lease.gate.room(1, 1000)
    assert room == 78  # four fifths of what process and prefix cache leave, without the token of the prompt


def test_where_the_machine_does_not_say_nothing_is_bounded() -> None:
    bench = Bench(machine=MemoryMachine(None, None), limits=ServeLimits())
    bench.want("org/a")
    assert bench.models.status().memory_limit is None
    assert bench.loader.loaded[0][1].memory_limit is None


def test_without_a_limit_of_its_own_the_server_takes_what_the_machine_has_for_a_program() -> None:
    bench = Bench(machine=MemoryMachine(16 * 10**9, 5 * 10**9), limits=ServeLimits())
    assert bench.models.status().memory_limit == 5 * 10**9


def test_the_status_tells_all_about_every_model() -> None:
    bench = Bench(limits=ServeLimits(memory=TWO_MODELS, pinned=("org/b",)))
    assert bench.models.status() == PoolStatus((), TWO_MODELS, 0, 0)
    bench.want("org/b")
    bench.ask("org/a")
    bench.background.step()
    status = bench.models.status()
    busy, coming = status.models
    assert (busy.offer.name, busy.offer.state, busy.stage, busy.busy, busy.pinned) == (
        "org/b",
        "loaded",
        "loaded",
        1,
        True,
    )
    assert (coming.offer.state, coming.stage, coming.waiting) == ("loading", "starting the model's process", 1)
    assert (coming.stats, coming.restarts, coming.pinned) == (None, 0, False)
    assert busy.stats is not None
    assert status.memory_taken == busy.bytes + coming.bytes


def test_the_status_tells_how_long_an_idle_model_stays() -> None:
    bench = Bench(limits=ServeLimits(keep_alive=60))
    bench.want("org/a").lease.release()
    bench.clock.advance(3)
    (status,) = bench.models.status().models
    assert (status.idle_seconds, status.expires_in) == (3, 57)


def test_the_status_counts_who_waits() -> None:
    bench = Bench()
    leases = [bench.want(name).lease for name in ("org/a", "org/b")]
    bench.want("org/c")
    assert bench.models.status().waiting == 1
    assert [model.waiting for model in bench.models.status().models] == [0, 0]
    for lease in leases:
        lease.release()


def test_models_without_a_place_are_forgotten() -> None:
    bench = Bench(tiny("org/a"))
    bench.want("org/a").lease.release()
    bench.models.unload("org/a")
    bench.background.run()
    assert bench.models.find("org/a").state == "unloaded"
