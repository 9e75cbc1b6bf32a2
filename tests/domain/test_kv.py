"""What keys and values cost: projected from the engine's numbers, and guessed from a config before loading."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.domain.kv import most_tokens, row_bytes
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.ports.engine import KvCost, KvLayers


def test_every_token_costs_its_bytes_in_every_layer_and_the_fixed_ones_come_on_top() -> None:
    assert row_bytes(KvCost((KvLayers(10), KvLayers(5)), fixed_bytes=7, block=1), 100) == 1507


def test_layers_with_a_window_hold_no_more_than_it() -> None:
    cost = KvCost((KvLayers(10), KvLayers(5, window=20)), block=1)
    assert [row_bytes(cost, count) for count in (10, 20, 100)] == [150, 300, 1100]


def test_a_row_may_hold_room_for_almost_a_block_of_tokens_that_never_come() -> None:
    assert row_bytes(KvCost((KvLayers(1),), block=256), 1000) == 1255


def test_an_engine_that_knows_no_costs_costs_nothing() -> None:
    assert row_bytes(KvCost(), 10**9) == 0


COSTS = st.builds(
    KvCost,
    st.lists(st.builds(KvLayers, st.integers(0, 50), st.none() | st.integers(1, 40)), max_size=3).map(tuple),
    st.integers(0, 100),
    st.integers(1, 32),
)


@given(COSTS, st.integers(0, 5000), st.integers(0, 200))
def test_most_tokens_is_the_last_number_that_stays_within_the_budget(cost: KvCost, budget: int, ceiling: int) -> None:
    fitting = [count for count in range(1, ceiling + 1) if row_bytes(cost, count) <= budget]
    assert most_tokens(cost, budget, ceiling) == max(fitting, default=0)


CONFIG: dict[str, Any] = {
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "torch_dtype": "bfloat16",
}
EACH = 2 * 2 * 8 * 2
"""Bytes a token and layer: keys and values, two heads of 8 numbers, 16 bits each."""


def test_a_plain_config_tells_heads_layers_and_width() -> None:
    assert expected_cost(CONFIG) == KvCost((KvLayers(6 * EACH),))
    assert expected_cost({**CONFIG, "head_dim": 16}) == KvCost((KvLayers(12 * EACH),))
    assert expected_cost({**CONFIG, "torch_dtype": "float32"}) == KvCost((KvLayers(12 * EACH),))


def test_the_language_part_of_a_multimodal_config_counts() -> None:
    assert expected_cost({"model_type": "x", "text_config": CONFIG}) == KvCost((KvLayers(6 * EACH),))


def test_layers_that_look_through_a_window_are_told_apart() -> None:
    kinds: list[Any] = ["sliding_attention", "full_attention", "sliding_attention", "linear_attention"]
    assert expected_cost({**CONFIG, "sliding_window": 512, "layer_types": kinds}) == KvCost(
        (KvLayers(EACH), KvLayers(2 * EACH, 512))
    )
    assert expected_cost({**CONFIG, "sliding_window": 512, "sliding_window_pattern": 3}) == KvCost(
        (KvLayers(2 * EACH), KvLayers(4 * EACH, 512))
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {**CONFIG, "num_key_value_heads": None},
        {**CONFIG, "num_key_value_heads": [2, 4]},
        {**CONFIG, "num_hidden_layers": -6},
        {**CONFIG, "num_attention_heads": 0},
        {**CONFIG, "kv_lora_rank": 512},
        {**CONFIG, "full_attention_interval": 4},
        {"text_config": {**CONFIG, "num_kv_shared_layers": 15}},
    ],
)
def test_nothing_is_estimated_where_the_config_does_not_say_or_caches_are_of_another_kind(
    config: dict[str, Any],
) -> None:
    assert expected_cost(config) is None


def test_a_window_of_no_size_is_none() -> None:
    assert expected_cost({**CONFIG, "sliding_window": 0, "layer_types": ["full_attention"]}) == KvCost(
        (KvLayers(EACH),)
    )
