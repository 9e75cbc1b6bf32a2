"""Whether weights and a context fit, in numbers small enough to check by hand."""

import pytest

from mlxk2.domain.budget import MemoryPlan
from mlxk2.domain.fitting import LEAST_CONTEXT, Fit, Needs, judge_fit
from mlxk2.ports.engine import KvCost, KvLayers
from mlxk2.ports.errors import ValidationError

COST = KvCost((KvLayers(8),), block=1)
"""Eight bytes a token, so that 0.8 of the memory beside the weights holds a tenth as many tokens as it has bytes."""
WHOLE = 10_000


def fit(
    grant: int | None, asked: int | None = None, *, weights: int | None = 100_000, length: int | None = WHOLE
) -> Fit:
    return judge_fit(Needs(weights, COST, length), MemoryPlan(grant, grant), asked)


def test_what_has_room_for_the_whole_context_fits() -> None:
    assert fit(200_000) == Fit(context=WHOLE, kv=80_000, needed=200_000, largest=WHOLE, fits=True)


def test_one_byte_less_has_room_for_one_token_less() -> None:
    assert fit(199_999).largest == WHOLE - 1
    assert fit(199_999).fits


def test_without_a_context_a_part_of_use_is_enough() -> None:
    enough = 100_000 + 10 * LEAST_CONTEXT
    assert (fit(enough).fits, fit(enough).largest) == (True, LEAST_CONTEXT)
    assert (fit(enough - 10).fits, fit(enough - 10).largest) == (False, LEAST_CONTEXT - 1)


def test_a_context_that_was_asked_for_fits_whole_or_not_at_all() -> None:
    assert (fit(150_000, 5000).fits, fit(150_000, 5001).fits) == (True, False)
    assert fit(150_000, 5001).largest == 5000


def test_fewer_tokens_than_are_of_use_fit_for_whoever_asks_for_them() -> None:
    assert fit(110_000, 500).fits


def test_a_short_context_of_the_models_own_is_enough() -> None:
    assert fit(111_000, length=512).fits


def test_weights_that_are_too_large_leave_room_for_no_token() -> None:
    assert (fit(109_999).fits, fit(109_999).largest) == (False, 0)
    assert (fit(109_999, 1).fits, fit(110_000, 1).fits) == (False, True)


def test_what_a_context_costs_may_be_unknown() -> None:
    needs = Needs(100_000, None, WHOLE)
    assert judge_fit(needs, MemoryPlan(110_000, None), None) == Fit(WHOLE, None, 110_000, None, fits=True)
    assert judge_fit(needs, MemoryPlan(109_999, None), None).fits is False


def test_nobody_can_tell_without_knowing_the_memory_or_the_weights() -> None:
    assert fit(None) == Fit(WHOLE, 80_000, 200_000, None, None)
    assert fit(200_000, weights=None) == Fit(WHOLE, 80_000, None, None, None)


def test_a_config_without_a_limit_is_looked_at_with_a_usual_context() -> None:
    assert fit(10**9, length=None).context == 8192
    assert fit(10**9, 50_000, length=None).largest == 50_000


@pytest.mark.parametrize("asked", [0, -5, WHOLE + 1])
def test_a_context_that_the_model_does_not_have_is_refused(asked: int) -> None:
    with pytest.raises(ValidationError, match=f"--context {asked} is"):
        fit(10**9, asked)
