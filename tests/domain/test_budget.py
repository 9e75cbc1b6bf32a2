"""Whether a model fits into memory, and who gets how much of it."""

import pytest

from mlxk2.adapters.memory import MemoryMachine
from mlxk2.domain.budget import PROCESS, MemoryPlan, appetite, check_fit, fits, plan_memory
from mlxk2.ports.engine import KvCost, KvLayers
from mlxk2.ports.errors import NotEnoughMemory

GB = 10**9


@pytest.mark.parametrize(
    ("weights", "memory", "answer"),
    [
        (4 * GB, 16 * GB, True),
        (0, 16 * GB, True),
        (1090 * GB // 100, 16 * GB, True),
        (1091 * GB // 100, 16 * GB, False),
        (12 * GB, 16 * GB, False),
        (16 * GB, 16 * GB, False),
        (40 * GB, 64 * GB, True),
        (1, 0, False),
    ],
)
def test_a_model_and_a_tenth_more_must_fit_into_three_quarters_of_the_memory(
    weights: int, memory: int, answer: bool
) -> None:
    assert fits(weights, memory) is answer


@pytest.mark.parametrize(("weights", "memory"), [(None, 16 * GB), (4 * GB, None), (None, None)])
def test_without_both_numbers_nobody_can_tell(weights: int | None, memory: int | None) -> None:
    assert fits(weights, memory) is None


def plan(*, total: int | None = 16 * GB, available: int | None = None) -> MemoryPlan:
    return plan_memory(MemoryMachine(total, available))


def refusal(given: MemoryPlan, weights: int, kv: int = 0) -> NotEnoughMemory:
    with pytest.raises(NotEnoughMemory) as caught:
        check_fit("org/big", given, weights, kv)
    return caught.value


def test_a_model_may_take_its_share_of_the_memory_and_no_more_than_is_free() -> None:
    assert plan().grant == plan().ceiling == 12 * GB
    assert (plan(available=5 * GB).grant, plan(available=5 * GB).ceiling) == (5 * GB, 12 * GB)
    assert plan(available=15 * GB).grant == 12 * GB
    assert (plan(total=None, available=5 * GB).grant, plan(total=None).grant) == (5 * GB, None)


def test_loading_is_refused_exactly_where_search_says_that_it_does_not_fit() -> None:
    for weights in (1090 * GB // 100, 1091 * GB // 100):
        if fits(weights, 16 * GB):
            check_fit("org/big", plan(), weights, 0)
        else:
            refusal(plan(), weights)


def test_a_model_that_is_too_large_is_refused_with_both_numbers_and_the_next_steps() -> None:
    error = refusal(plan(), 40 * GB)
    assert (error.needed_bytes, error.limit_bytes) == (44 * GB, 12 * GB)
    assert error.message == (
        "'org/big' needs about 44.0 GB of memory, 40.0 GB of them for its weights, and this machine has 12.0 GB for it;"
        " take a smaller quantization, or try it anyway with --force-load"
    )


def test_when_only_the_answer_is_too_long_a_shorter_one_is_the_next_step() -> None:
    check_fit("org/big", plan(), 4 * GB, 6 * GB)
    error = refusal(plan(), 4 * GB, 8 * GB)
    assert "ask for less with --max-tokens, or" in error.message
    assert error.needed_bytes == 14 * GB


def test_when_others_hold_the_memory_closing_them_is_a_step() -> None:
    busy = plan(available=3 * GB)
    assert "take a smaller quantization, close other programs, or" in refusal(busy, 4 * GB).message
    assert "close other programs" not in refusal(busy, 40 * GB).message


def test_where_the_machine_does_not_say_nothing_is_refused_or_bounded() -> None:
    unknown = plan(total=None)
    check_fit("org/big", unknown, 10**15, 10**15)
    assert unknown == MemoryPlan()
    assert unknown.for_requests(10**15) is None


def test_requests_get_a_part_of_what_the_weights_leave() -> None:
    assert plan().for_requests(2 * GB) == 8 * GB
    assert plan().for_requests(7 * GB) == 4 * GB  # an engine that holds them in a wider type
    assert plan().for_requests(13 * GB) == 0


def test_what_passes_before_loading_passes_afterwards() -> None:
    weights, kv = 4 * GB, 6 * GB
    check_fit("org/big", plan(), weights, kv)
    budget = plan().for_requests(weights)
    assert budget is not None
    assert kv <= budget


HEADS = KvCost((KvLayers(1000),), block=1)


def test_a_served_model_has_room_for_one_long_request_at_least_and_for_a_crowd_if_it_can() -> None:
    model = appetite(4 * GB, HEADS, 32_768, None)
    assert (model.long, model.crowd) == (8192 * 1000, 32 * 2048 * 1000)
    assert model.least == pytest.approx(PROCESS + 4.4 * GB + 8192 * 1000 / 0.8, abs=9)
    assert model.for_requests(model.least) == pytest.approx(model.long, abs=2)
    assert model.for_prefixes(model.least) == 0
    assert model.for_requests(model.desired) == pytest.approx(model.crowd, abs=9)
    assert model.for_prefixes(model.desired) == pytest.approx((model.desired - model.least) / 4, abs=2)


@pytest.mark.parametrize("granted", ["least", "desired"])
@pytest.mark.parametrize("prefix_cache", [None, 0, 10**6])
@pytest.mark.parametrize("weights", [0, 1, 999, 12_345_678])
def test_what_a_served_model_was_promised_is_there(weights: int, prefix_cache: int | None, granted: str) -> None:
    model = appetite(weights, HEADS, 100, prefix_cache)
    needed = model.long if granted == "least" else model.crowd
    assert model.for_requests(getattr(model, granted)) >= needed


def test_a_short_context_bounds_what_requests_can_need() -> None:
    model = appetite(4 * GB, HEADS, 100, None)
    assert (model.long, model.crowd) == (100 * 1000, 32 * 100 * 1000)


def test_a_model_of_unknown_cost_gets_a_share_of_its_weights() -> None:
    model = appetite(8 * GB, None, None, None)
    assert (model.long, model.crowd) == (GB, 8 * GB)


def test_a_prefix_cache_of_a_size_asked_for_is_part_of_the_least() -> None:
    with_cache, without = appetite(4 * GB, HEADS, 100, GB), appetite(4 * GB, HEADS, 100, 0)
    assert with_cache.least - without.least == with_cache.desired - without.desired == GB
    assert with_cache.for_prefixes(with_cache.least) == GB
