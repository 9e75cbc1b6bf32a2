"""Who is loaded, who goes, who waits: each rule of the pool by itself, told in events and answers."""

import pytest

from mlxk2.domain.pool import Action, Close, Grant, Load, Pool, Refuse
from mlxk2.domain.seating import ModelKey, Need, PoolLimits, Stage
from mlxk2.ports.errors import Conflict, EngineFailure, Mlxk2Error, NotEnoughMemory, OperationError, Overloaded

KEYS = {name: ModelKey(f"models--org--{name}", "c" * 40) for name in "abcdef"}


class Server:
    """A pool of 100 bytes with models of 40 each, one of which fits beside another, and what it said last."""

    def __init__(self, memory: int | None = 100, **limits: float | int | None) -> None:
        self.pool = Pool(PoolLimits(memory, **limits))  # type: ignore[arg-type]
        self.now = 0.0
        self.last = 0

    def want(self, name: str, least: int = 40, desired: int | None = None, *, ahead: bool = False) -> list[Action]:
        self.last += 1
        need = Need(f"org/{name}", least, least if desired is None else desired)
        return self.pool.want(self.last, KEYS[name], need, self.now, ahead=ahead)

    def loaded(self, name: str) -> list[Action]:
        return self.pool.loaded(KEYS[name], self.now)

    def closed(self, name: str) -> list[Action]:
        return self.pool.closed(KEYS[name], self.now)

    def release(self, want: int) -> list[Action]:
        return self.pool.release(want, self.now)

    def pass_time(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self.pool.pass_time(self.now)

    def have(self, name: str, least: int = 40, *, busy: bool = False) -> int:
        """The model is loaded; the number of the want that holds it, or held it."""
        assert self.want(name, least) == [Load(KEYS[name], least)]
        want = self.last
        assert self.loaded(name) == [Grant(want, KEYS[name])]
        if not busy:
            assert self.release(want) == []
        return want

    def pin(self, name: str) -> None:
        self.pool.pin(KEYS[name], pinned=True)

    @property
    def waiting(self) -> list[int]:
        return [want for want, _ in self.pool.waiting]


def refusal(actions: list[Action]) -> Mlxk2Error:
    (refuse,) = actions
    assert isinstance(refuse, Refuse)
    return refuse.error


def test_a_model_is_loaded_when_it_is_first_wanted_and_everybody_who_wants_it_shares_it() -> None:
    server = Server()
    assert server.want("a") == [Load(KEYS["a"], 40)]
    assert server.want("a") == []
    assert server.loaded("a") == [Grant(1, KEYS["a"]), Grant(2, KEYS["a"])]
    assert server.want("a") == [Grant(3, KEYS["a"])]


def test_requests_for_a_loaded_model_flow_while_another_one_loads() -> None:
    server = Server()
    server.have("a")
    assert server.want("b") == [Load(KEYS["b"], 40)]
    assert server.want("a") == [Grant(3, KEYS["a"])]


def test_two_revisions_of_a_model_are_two_models() -> None:
    server = Server()
    other = KEYS["a"]._replace(commit="d" * 40)
    server.have("a")
    assert server.pool.want(9, other, Need("org/a", 40, 40), 0.0) == [Load(other, 40)]


def test_what_does_not_fit_makes_the_idle_model_go_that_was_used_longest_ago() -> None:
    server = Server()
    server.have("a")
    server.have("b")
    server.want("a")
    server.release(server.last)
    assert server.want("c") == [Close(KEYS["b"])]
    assert server.closed("b") == [Load(KEYS["c"], 40)]


def test_no_more_models_go_than_needed() -> None:
    server = Server()
    server.have("a", 10)
    server.have("b", 60)
    server.have("c", 30)
    assert server.want("d", 50) == [Close(KEYS["b"])]


def test_several_go_where_one_is_not_enough() -> None:
    server = Server()
    for name in ("a", "b", "c"):
        server.have(name, 30)
    assert server.want("d", 60) == [Close(KEYS["a"]), Close(KEYS["b"])]
    assert server.closed("b") == []
    assert server.closed("a") == [Load(KEYS["d"], 60)]


def test_memory_counts_as_taken_until_the_worker_is_gone() -> None:
    server = Server()
    server.have("a", 80)
    server.want("b")
    assert server.pool.taken == 80
    assert server.want("c", 20) == []
    assert server.closed("a") == [Load(KEYS["b"], 40), Load(KEYS["c"], 20)]


def test_a_busy_model_is_never_evicted_and_the_newcomer_waits_for_it() -> None:
    server = Server()
    first = server.have("a", 80, busy=True)
    assert server.want("b") == []
    assert server.release(first) == [Close(KEYS["a"])]
    assert server.closed("a") == [Load(KEYS["b"], 40)]


def test_a_model_that_is_being_loaded_is_never_evicted() -> None:
    server = Server()
    server.want("a", 80)
    assert server.want("b") == []
    assert server.loaded("a") == [Grant(1, KEYS["a"])]
    assert server.release(1) == [Close(KEYS["a"])]


def test_while_somebody_waits_the_models_that_have_to_go_take_no_new_requests() -> None:
    server = Server()
    first = server.have("a", 80, busy=True)
    server.want("b")
    assert server.want("a", 80) == []
    assert server.waiting == [2, 3]
    assert server.release(first) == [Close(KEYS["a"])]
    server.closed("a")
    assert server.loaded("b") == [Grant(2, KEYS["b"])]
    assert server.release(2) == [Close(KEYS["b"])]
    assert server.closed("b") == [Load(KEYS["a"], 80)]
    assert server.loaded("a") == [Grant(3, KEYS["a"])]


def test_models_that_need_not_go_take_requests_while_somebody_waits() -> None:
    server = Server()
    server.have("a", 20, busy=True)
    server.have("b", 70, busy=True)
    server.want("c", 60)
    assert server.want("a", 20) == [Grant(4, KEYS["a"])]
    assert server.want("b", 70) == []


def test_the_model_that_is_to_go_stays_the_same_while_it_comes_to_rest() -> None:
    server = Server()
    holders = [server.have("a", busy=True)]
    server.want("a")
    holders.append(server.last)
    server.have("b", busy=True)
    server.want("c")
    server.release(holders[0])  # a is now the one used last, and still the one that is to go
    assert server.want("a") == []
    assert server.want("b") == [Grant(server.last, KEYS["b"])]
    assert server.release(holders[1]) == [Close(KEYS["a"])]


def test_an_idle_model_is_left_alone_until_it_is_of_use_to_whoever_waits() -> None:
    server = Server()
    server.have("a", 20)
    busy = server.have("b", 70, busy=True)
    assert server.want("c", 90) == []
    assert server.pool.release(server.last, 0.0) == []
    assert server.want("a", 20) == [Grant(4, KEYS["a"])]
    assert server.release(busy) == []


def test_when_the_first_in_line_gives_up_the_others_go_on() -> None:
    server = Server()
    server.have("a", 80, busy=True)
    server.want("b", 50)
    server.want("c", 20)
    assert server.release(2) == [Load(KEYS["c"], 20)]


def test_nobody_overtakes_whoever_waits_for_memory() -> None:
    server = Server()
    server.have("a", 80, busy=True)
    server.want("b", 50)
    assert server.want("c", 20) == []
    assert server.want("b", 50) == []
    assert server.waiting == [2, 3, 4]


def test_a_model_that_is_wanted_again_while_it_goes_is_loaded_anew() -> None:
    server = Server()
    server.have("a", 80)
    server.pool.unload(KEYS["a"], 0.0)
    assert server.want("a", 80) == []
    assert server.closed("a") == [Load(KEYS["a"], 80)]


def test_what_can_never_fit_is_refused_at_once_with_both_numbers() -> None:
    server = Server()
    server.have("a", 80, busy=True)
    error = refusal(server.want("b", 120))
    assert isinstance(error, NotEnoughMemory)
    assert (error.needed_bytes, error.limit_bytes) == (120, 100)
    assert error.message == (
        "'org/b' needs at least 120 B of memory, and this server has 100 B for it; take a smaller quantization, or give"
        " the server more memory"
    )


def test_what_can_never_fit_beside_a_pinned_model_is_refused_at_once() -> None:
    server = Server()
    server.pin("a")
    server.have("a", 60)
    error = refusal(server.want("b", 50))
    assert isinstance(error, NotEnoughMemory)
    assert error.limit_bytes == 40
    assert "has 40 B for it beside org/a;" in error.message


def test_a_pinned_model_is_never_evicted_and_never_expires() -> None:
    server = Server(keep_alive=10)
    server.pin("a")
    server.have("a")
    server.have("b")
    assert server.want("c") == [Close(KEYS["b"])]
    assert Close(KEYS["a"]) not in server.pass_time(1000)


def test_a_model_that_is_pinned_no_longer_goes_like_any_other() -> None:
    server = Server()
    server.pin("a")
    server.have("a", 80)
    server.pool.pin(KEYS["a"], pinned=False)
    assert server.want("b") == [Close(KEYS["a"])]


def test_a_model_that_was_pinned_while_somebody_waits_for_its_memory_refuses_them() -> None:
    server = Server()
    holder = server.have("a", 80, busy=True)
    server.want("b")
    server.pin("a")
    assert isinstance(refusal(server.release(holder)), NotEnoughMemory)


def test_no_more_models_than_allowed_are_in_memory() -> None:
    server = Server(most_models=2)
    server.have("a", 10)
    server.have("b", 10)
    assert server.want("c", 10) == [Close(KEYS["a"])]
    assert server.want("d", 10) == []
    assert server.closed("a") == [Load(KEYS["c"], 10), Close(KEYS["b"])]


def test_where_all_places_are_pinned_the_next_model_is_refused() -> None:
    server = Server(most_models=1)
    server.pin("a")
    server.have("a", 10)
    error = refusal(server.want("b", 10))
    assert type(error) is OperationError
    assert "at most 1 at once" in error.message


def test_a_model_gets_what_it_could_use_as_far_as_it_is_free() -> None:
    assert Server().want("a", 60, 90) == [Load(KEYS["a"], 90)]
    assert Server().want("a", 60, 200) == [Load(KEYS["a"], 100)]
    assert Server(memory=None).want("a", 60, 200) == [Load(KEYS["a"], 200)]


def test_a_model_leaves_room_for_another_one_of_its_kind_where_there_is_that_much() -> None:
    assert Server().want("a", 40, 90) == [Load(KEYS["a"], 60)]
    assert Server(most_models=1).want("a", 40, 90) == [Load(KEYS["a"], 90)]


def test_a_model_takes_no_more_than_it_must_from_those_who_wait() -> None:
    server = Server()
    server.have("a", 80)
    server.want("b", 30, 90)
    server.want("c", 50, 90)
    assert server.closed("a") == [Load(KEYS["b"], 50), Load(KEYS["c"], 50)]


def test_once_loaded_the_engine_says_what_the_model_takes() -> None:
    server = Server()
    server.want("a", 40, 60)
    assert server.pool.settle(KEYS["a"], Need("org/a", 10, 20)) == 20
    assert server.pool.taken == 20
    server.loaded("a")
    server.want("b", 40, 60)
    assert server.pool.settle(KEYS["b"], Need("org/b", 70, 90)) == 80


def test_a_model_that_turns_out_larger_makes_idle_ones_go_until_the_limit_holds_again() -> None:
    server = Server()
    server.have("a", 20)
    server.have("b", 20)
    server.want("c", 50)
    assert server.pool.settle(KEYS["c"], Need("org/c", 70, 70)) == 70
    assert server.loaded("c") == [Grant(3, KEYS["c"]), Close(KEYS["a"])]
    assert server.closed("a") == []


def test_a_model_that_alone_turns_out_too_large_serves_those_who_wait_for_it() -> None:
    server = Server()
    server.want("a", 50)
    server.pool.settle(KEYS["a"], Need("org/a", 170, 170))
    assert server.loaded("a") == [Grant(1, KEYS["a"])]
    assert server.release(1) == []
    assert server.want("b") == [Close(KEYS["a"])]


def test_a_load_that_fails_refuses_all_who_wait_for_it_and_the_next_one_tries_again() -> None:
    server = Server()
    server.want("a")
    server.want("a")
    error = EngineFailure("out of luck")
    assert server.pool.failed(KEYS["a"], error, 0.0) == [Refuse(1, error), Refuse(2, error)]
    assert server.want("a") == [Load(KEYS["a"], 40)]


def test_a_load_that_fails_makes_room_for_whoever_waits() -> None:
    server = Server()
    server.want("a", 80)
    server.want("b", 80)
    actions = server.pool.failed(KEYS["a"], EngineFailure("out of luck"), 0.0)
    assert actions[1:] == [Load(KEYS["b"], 80)]


def test_an_idle_model_goes_when_its_time_has_come() -> None:
    server = Server(keep_alive=10)
    want = server.have("a", busy=True)
    assert server.pass_time(100) == []
    server.release(want)
    assert server.pass_time(9.9) == []
    assert server.pool.expires(server.pool.seats[0]) == 110
    assert server.pass_time(0.1) == [Close(KEYS["a"])]


def test_a_model_that_nobody_waited_for_in_the_end_goes_too() -> None:
    server = Server(keep_alive=0)
    server.want("a")
    server.release(1)
    assert server.loaded("a") == [Close(KEYS["a"])]


def test_without_keep_alive_a_model_goes_as_soon_as_it_is_idle() -> None:
    server = Server(keep_alive=0)
    want = server.have("a", busy=True)
    assert server.release(want) == [Close(KEYS["a"])]


def test_with_keep_alive_for_ever_a_model_stays() -> None:
    server = Server(keep_alive=None)
    server.have("a")
    assert server.pass_time(10**9) == []


def test_a_model_loaded_ahead_is_held_by_nobody_and_stays_for_its_first_use() -> None:
    server = Server(keep_alive=0)
    server.want("a", ahead=True)
    assert server.loaded("a") == [Grant(1, KEYS["a"])]
    assert server.pass_time(1000) == []
    server.want("a")
    assert server.release(2) == [Close(KEYS["a"])]


def test_models_loaded_ahead_never_push_out_one_another() -> None:
    server = Server()
    server.want("a", 60, ahead=True)
    error = refusal(server.want("b", 50, ahead=True))
    assert isinstance(error, NotEnoughMemory)
    assert "beside org/a" in error.message
    server.loaded("a")
    assert isinstance(refusal(server.want("b", 50, ahead=True)), NotEnoughMemory)
    assert server.want("b", 50) == [Close(KEYS["a"])]


def test_models_loaded_ahead_share_the_memory_as_soon_as_it_is_known_what_they_need() -> None:
    server = Server()
    assert server.want("a", 45, 90, ahead=True) == [Load(KEYS["a"], 55)]
    assert server.want("b", 50, 90, ahead=True) == []
    assert server.pool.settle(KEYS["a"], Need("org/a", 45, 90)) == 50
    assert server.loaded("a") == [Grant(1, KEYS["a"]), Load(KEYS["b"], 50)]


def test_whoever_waits_too_long_for_memory_is_refused() -> None:
    server = Server(patience=60)
    server.have("a", 80, busy=True)
    server.want("b")
    assert server.pass_time(59) == []
    error = refusal(server.pass_time(1))
    assert isinstance(error, Overloaded)
    assert "waited 60 s for 'org/b'" in error.message
    assert server.want("a", 80) == [Grant(3, KEYS["a"])]


def test_nobody_is_refused_while_the_model_loads() -> None:
    server = Server(patience=60)
    server.want("a")
    assert server.pass_time(1000) == []


def test_the_line_of_a_model_has_an_end() -> None:
    server = Server(queue=2)
    server.want("a")
    server.want("a")
    assert isinstance(refusal(server.want("a")), Overloaded)
    assert server.want("b") == [Load(KEYS["b"], 40)]


def test_the_operator_unloads_an_idle_model_at_once() -> None:
    server = Server()
    server.pin("a")
    server.have("a")
    assert server.pool.unload(KEYS["a"], 0.0) == [Close(KEYS["a"])]
    assert server.pool.unload(KEYS["a"], 0.0) == []
    assert server.pool.unload(KEYS["b"], 0.0) == []


def test_the_operator_unloads_a_busy_model_only_by_force() -> None:
    server = Server()
    want = server.have("a", busy=True)
    with pytest.raises(Conflict, match="'org/a' is busy"):
        server.pool.unload(KEYS["a"], 0.0)
    assert server.pool.unload(KEYS["a"], 0.0, force=True) == [Close(KEYS["a"])]
    assert server.release(want) == []
    assert server.closed("a") == []


def test_a_model_that_is_loading_is_unloaded_by_force_whatever_becomes_of_the_load() -> None:
    for ends_well in (True, False):
        server = Server()
        server.want("a")
        with pytest.raises(Conflict, match="is being loaded"):
            server.pool.unload(KEYS["a"], 0.0)
        refused, close = server.pool.unload(KEYS["a"], 0.0, force=True)
        assert isinstance(refused, Refuse)
        assert close == Close(KEYS["a"])
        assert server.want("a") == []
        if ends_well:
            assert server.loaded("a") == [Close(KEYS["a"])]
            assert server.closed("a") == [Load(KEYS["a"], 40)]
        else:
            assert server.pool.failed(KEYS["a"], EngineFailure("closed"), 0.0) == [Load(KEYS["a"], 40)]


def test_at_the_end_everybody_is_refused_and_all_models_go() -> None:
    server = Server()
    server.have("a", busy=True)
    server.want("b")
    server.want("c", 90)
    refusals, closes = server.pool.close()[:2], server.pool.close()
    assert [type(action) for action in refusals] == [Refuse, Refuse]
    assert closes == []
    assert {seat.stage for seat in server.pool.seats} == {Stage.UNLOADING}
    assert isinstance(refusal(server.want("a")), Overloaded)
    assert server.closed("a") == []
    assert server.loaded("b") == [Close(KEYS["b"])]
    assert server.closed("b") == []
    assert server.pool.seats == ()
