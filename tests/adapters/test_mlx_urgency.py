"""What is done in the middle of a step: once, when enough has been set going, and never of a pass that fails."""

import pytest

from mlxk2.adapters.mlx.urgency import attention_set_going, one_step


@pytest.fixture
def done() -> list[str]:
    return []


def test_it_is_done_once_when_so_many_attentions_have_been_set_going(done: list[str]) -> None:
    with one_step([], lambda: done.append("told"), middle=2):
        attention_set_going()
        assert done == []
        attention_set_going()
        assert done == ["told"]
        attention_set_going()
    assert done == ["told"]


def test_a_pass_with_fewer_attentions_has_it_done_at_its_end(done: list[str]) -> None:
    with one_step([], lambda: done.append("told"), middle=2):
        attention_set_going()
        assert done == []
    assert done == ["told"]


def test_after_a_failure_it_is_not_done_any_more(done: list[str]) -> None:
    with pytest.raises(ArithmeticError), one_step([], lambda: done.append("told"), middle=2):
        raise ArithmeticError
    with one_step([]):
        attention_set_going()
    assert done == []


def test_what_it_raises_ends_the_pass_and_the_next_one_is_free_of_it(done: list[str]) -> None:
    def fail() -> None:
        done.append("failed")
        raise ArithmeticError

    with pytest.raises(ArithmeticError), one_step([], fail):
        attention_set_going()
    with one_step([], lambda: done.append("told")):
        attention_set_going()
    assert done == ["failed", "told"]


def test_a_step_knows_how_many_attentions_it_had() -> None:
    with one_step([]) as step:
        attention_set_going()
        attention_set_going()
    assert step.attentions == 2
    with one_step([]) as another:
        attention_set_going()
    assert (step.attentions, another.attentions) == (2, 1)
