"""What `list` shows of the judged models: filters, order, limit."""

from typing import Any

import pytest

from mlxk2.domain.classify import Classification, Framework, ModelType
from mlxk2.domain.compatibility import Compatibility
from mlxk2.domain.health import IN_PROGRESS, Health
from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.model_list import Choice, ModelList, Order, choose
from mlxk2.ports.errors import ValidationError


def a_model(
    name: str,
    framework: Framework = Framework.MLX,
    model_type: ModelType = ModelType.CHAT,
    reason: str | None = None,
    **numbers: Any,
) -> ModelSummary:
    facts = {"size": 1, "modified": 1.0, **numbers}
    kind = Classification(framework, model_type, ())
    return ModelSummary(
        name, "0" * 40, classification=kind, health=Health(reason), compatibility=Compatibility(None), **facts
    )


SMALL = a_model("a/small", size=10, modified=300.0, used=5.0)
LARGE = a_model("b/large", size=1000, modified=100.0, used=0.0, model_type=ModelType.BASE)
ILL = a_model("c/ill", size=100, modified=200.0, used=9.0, reason="a shard is missing")
GGUF = a_model("d/gguf", Framework.GGUF, ModelType.UNKNOWN, size=500, modified=400.0, used=1.0)
COMING = a_model("e/coming", Framework.UNKNOWN, ModelType.UNKNOWN, reason=IN_PROGRESS, size=0)
ALL = [SMALL, LARGE, ILL, GGUF, COMING]


def names(choice: Choice) -> str:
    return " ".join(model.name[0] for model in choose(ALL, choice).models)


def test_without_a_wish_all_are_shown_by_name() -> None:
    assert choose(list(reversed(ALL)), Choice()) == ModelList(ALL, 5)


@pytest.mark.parametrize(
    ("order", "shown"),
    [(Order.NAME, "a b c d e"), (Order.SIZE, "b d c a e"), (Order.MODIFIED, "d a c b e"), (Order.USED, "c a d b e")],
)
def test_the_largest_and_the_newest_come_first_and_reverse_turns_the_whole_order_round(
    order: Order, shown: str
) -> None:
    assert names(Choice(order=order)) == shown
    assert names(Choice(order=order, reverse=True)) == shown[::-1]


@pytest.mark.parametrize("order", Order)
def test_what_is_equal_goes_by_name(order: Order) -> None:
    twins = [a_model(name) for name in ("b", "c", "a")]
    assert [model.name for model in choose(twins, Choice(order=order)).models] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (Choice(framework=Framework.MLX), "a b c"),
        (Choice(framework=Framework.GGUF), "d"),
        (Choice(framework=Framework.GGUF, for_mlx=True), "d"),
        (Choice(framework=Framework.UNKNOWN), "e"),
        (Choice(model_type=ModelType.CHAT), "a c"),
        (Choice(model_type=ModelType.EMBEDDING), ""),
        (Choice(healthy=True), "a b d"),
        (Choice(healthy=False), "c e"),
        (Choice(for_mlx=True), "a b c e"),
        (Choice(framework=Framework.MLX, model_type=ModelType.CHAT, healthy=True), "a"),
    ],
)
def test_every_filter_must_hold(choice: Choice, shown: str) -> None:
    assert names(choice) == shown


def test_a_limit_comes_after_filters_and_order_and_says_what_it_cuts() -> None:
    assert choose(ALL, Choice(order=Order.SIZE, limit=2)) == ModelList([LARGE, GGUF], 5, cut=3)
    assert choose(ALL, Choice(order=Order.SIZE, limit=2, for_mlx=True)) == ModelList([LARGE, ILL], 5, others=1, cut=2)
    assert choose(ALL, Choice(limit=9)) == ModelList(ALL, 5)


def test_others_are_those_that_fit_but_for_their_framework() -> None:
    assert choose(ALL, Choice(healthy=True, for_mlx=True)).others == 1
    assert choose(ALL, Choice(healthy=False, for_mlx=True)).others == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_leaves_nothing_is_refused(limit: int) -> None:
    with pytest.raises(ValidationError, match=f"--limit {limit} is out of range: it must be 1 or more"):
        choose([], Choice(limit=limit))
