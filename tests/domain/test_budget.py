"""Whether a model fits into memory, and who gets how much of it."""

import pytest

from mlxk2.adapters.memory import MemoryMachine
from mlxk2.domain.budget import MemoryPlan, check_fit, fits, plan_memory
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


def plan(
    weights: int, *, total: int | None = 16 * GB, available: int | None = None, prefixes: bool = False
) -> MemoryPlan:
    return plan_memory(MemoryMachine(total, available), weights, keeps_prefixes=prefixes)


def refusal(given: MemoryPlan, weights: int, kv: int = 0) -> NotEnoughMemory:
    with pytest.raises(NotEnoughMemory) as caught:
        check_fit("org/big", given, weights, kv)
    return caught.value


def test_a_model_may_take_its_share_of_the_memory_and_no_more_than_is_free() -> None:
    assert plan(0).grant == plan(0).ceiling == 12 * GB
    assert (plan(0, available=5 * GB).grant, plan(0, available=5 * GB).ceiling) == (5 * GB, 12 * GB)
    assert plan(0, available=15 * GB).grant == 12 * GB
    assert (plan(0, total=None, available=5 * GB).grant, plan(0, total=None).grant) == (5 * GB, None)


def test_loading_is_refused_exactly_where_search_says_that_it_does_not_fit() -> None:
    for weights in (1090 * GB // 100, 1091 * GB // 100):
        if fits(weights, 16 * GB):
            check_fit("org/big", plan(weights), weights, 0)
        else:
            refusal(plan(weights), weights)


def test_a_model_that_is_too_large_is_refused_with_both_numbers_and_the_next_steps() -> None:
    error = refusal(plan(40 * GB), 40 * GB)
    assert (error.needed_bytes, error.limit_bytes) == (44 * GB, 12 * GB)
    assert error.message == (
        "'org/big' needs about 44.0 GB of memory, 40.0 GB of them for its weights, and this machine has 12.0 GB for it;"
        " take a smaller quantization, or try it anyway with --force-load"
    )


def test_when_only_the_answer_is_too_long_a_shorter_one_is_the_next_step() -> None:
    check_fit("org/big", plan(4 * GB), 4 * GB, 6 * GB)
    error = refusal(plan(4 * GB), 4 * GB, 8 * GB)
    assert "ask for less with --max-tokens, or" in error.message
    assert error.needed_bytes == 14 * GB


def test_when_others_hold_the_memory_closing_them_is_a_step() -> None:
    busy = plan(4 * GB, available=3 * GB)
    assert "take a smaller quantization, close other programs, or" in refusal(busy, 4 * GB).message
    assert "close other programs" not in refusal(busy, 40 * GB).message


def test_where_the_machine_does_not_say_nothing_is_refused_or_bounded() -> None:
    unknown = plan(10**15, total=None)
    check_fit("org/big", unknown, 10**15, 10**15)
    assert unknown == MemoryPlan()
    assert unknown.for_requests(10**15) is None


def test_requests_get_a_part_of_what_the_weights_leave() -> None:
    assert plan(2 * GB).for_requests(2 * GB) == 8 * GB
    assert plan(2 * GB).for_requests(7 * GB) == 4 * GB  # an engine that holds them in a wider type
    assert plan(2 * GB).for_requests(13 * GB) == 0


def test_what_passes_before_loading_passes_afterwards() -> None:
    weights, kv = 4 * GB, 6 * GB
    check_fit("org/big", plan(weights), weights, kv)
    budget = plan(weights).for_requests(weights)
    assert budget is not None
    assert kv <= budget


def test_prefixes_are_kept_only_where_many_requests_come_and_on_their_own_account() -> None:
    assert plan(4 * GB).prefix_cache == 0
    assert plan(4 * GB, prefixes=True).prefix_cache == 2 * GB
    assert plan(4 * GB, prefixes=True).for_requests(4 * GB) == 48 * GB // 10
    assert plan(40 * GB, prefixes=True).prefix_cache == 0
