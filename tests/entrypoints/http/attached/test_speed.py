"""How fast a model makes tokens, from counts of the last few seconds."""

from dataclasses import replace

import pytest

from mlxk2.domain.usecases.serve_models import ModelStatus, Offer, PoolStatus
from mlxk2.entrypoints.http.speed import WINDOW, Speed, Speeds
from mlxk2.ports.engine import EngineStats


def speed_of(*counts: tuple[float, int]) -> float:
    speed = Speed()
    for now, total in counts:
        speed.note(now, total)
    return speed.tokens_per_second


def test_one_count_alone_says_nothing() -> None:
    assert speed_of() == speed_of((100.0, 7)) == 0.0


def test_two_counts_are_a_speed() -> None:
    assert speed_of((100.0, 0), (102.0, 50)) == 25.0


def test_only_the_last_seconds_count() -> None:
    before, lately = (
        [(float(now), 1000 * now) for now in range(20)],
        [(20.0 + now, 19_000 + 10 * now) for now in range(8)],
    )
    assert speed_of(*before, *lately) == pytest.approx(10.0)


@pytest.mark.parametrize(("age", "last_age"), [(0.0, 0.0), (0.25, 0.25), (0.0, 0.24), (0.24, 0.0)])
@pytest.mark.parametrize("pause", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.01, 0.1, 0.24, 0.3, 0.49, 0.5, 0.51, 0.75, 0.9, 0.99])
def test_one_second_into_an_answer_it_is_right_within_a_factor_of_two(
    offset: float, pause: float, age: float, last_age: float
) -> None:
    """Whenever the looks before were, and however old what they see; 400 tokens a second from the moment 0."""
    looks = [1.0 - offset % pause - pause * place for place in range(int(6 / pause))][::-1]
    seen = [(now, int(400 * max(0.0, now - age))) for now in looks]
    last = max(seen[-1][1], int(400 * (1.0 - last_age)))
    assert 200 <= round(speed_of(*seen, (1.0, last))) <= 800


def test_the_first_token_alone_does_not_count_the_rest_before_it() -> None:
    rest = [(now / 2, 7) for now in range(20)]
    assert speed_of(*rest, (10.0, 8), (10.5, 8), (11.0, 408)) == pytest.approx(400.0)


def test_an_answer_that_was_over_by_the_next_look_is_a_speed_too() -> None:
    assert speed_of((0.0, 0), (1.0, 0), (2.0, 100), (3.0, 100)) == 50.0


def test_a_model_at_rest_comes_to_nought_within_the_window() -> None:
    assert speed_of((0.0, 0), (1.0, 100), *((1.0 + now, 100) for now in range(1, int(WINDOW) + 2))) == 0.0


def test_a_model_that_was_loaded_anew_begins_anew() -> None:
    assert speed_of((0.0, 0), (1.0, 500), (2.0, 3)) == 0.0
    assert speed_of((0.0, 0), (1.0, 500), (2.0, 3), (3.0, 23)) == 20.0


def test_looks_in_quick_succession_do_not_make_the_number_jump() -> None:
    quick = [(1.0 + step / 100, 100) for step in range(1, 10)]
    assert speed_of((0.0, 0), (1.0, 100), *quick, (1.1, 110)) == pytest.approx(100.0)


def test_the_first_two_looks_may_be_at_the_same_moment() -> None:
    assert speed_of((5.0, 0), (5.0, 4)) == 16.0


def test_what_is_kept_does_not_grow() -> None:
    speed = Speed()
    for step in range(100_000):
        speed.note(step / 1000, step)
    assert len(speed._counts) < 30
    assert speed.tokens_per_second == pytest.approx(1000.0)


def test_each_model_has_its_own_and_a_gone_one_is_forgotten() -> None:
    offer = Offer("org/first", "a" * 40, 0, "qwen3", (), None, "loaded")
    model = ModelStatus(offer, "", 0, 0, 500, None, None, False, EngineStats(), 0)
    other = replace(model, offer=replace(offer, commit="b" * 40))
    loading = replace(model, offer=replace(offer, name="org/second"), stats=None)
    speeds = Speeds()

    def look(now: float, *models: ModelStatus) -> None:
        speeds.look(PoolStatus(models, None, 0, 0), now)

    look(0.0, model, other, loading)
    look(1.0, replace(model, stats=EngineStats(generated_tokens=30)), other, loading)
    assert (speeds.of(model), speeds.of(other), speeds.of(loading)) == (30.0, 0.0, 0.0)
    look(2.0, other)
    look(3.0, model)
    assert speeds.of(model) == 0.0
