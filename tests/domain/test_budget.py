"""Whether a model fits into memory."""

import pytest

from mlxk2.domain.budget import fits

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
