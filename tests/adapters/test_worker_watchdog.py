"""When a worker counts as hung, on a clock that the tests set."""

import pytest

from mlxk2.adapters.worker.watchdog import Patience, Watchdog

PATIENCE = Patience(silence=10, hang=60, load=600)


def verdict(
    watchdog: Watchdog, now: float, *, loading: bool = False, busy: bool = True, asked: float | None = None
) -> str | None:
    return watchdog.verdict(now, loading=loading, busy=busy, asked=asked)


def beaten(seconds: int, steps: int = 0) -> Watchdog:
    """Started at 0; a beat every second since, always with the same number of steps."""
    watchdog = Watchdog(PATIENCE, 0)
    for now in range(1, seconds + 1):
        watchdog.heard(now)
        watchdog.beat(steps, now)
    return watchdog


@pytest.mark.parametrize("loading", [True, False])
@pytest.mark.parametrize("busy", [True, False])
def test_silence_is_a_sign_of_death_whatever_the_worker_does(loading: bool, busy: bool) -> None:
    watchdog = beaten(20)
    assert verdict(watchdog, 30, loading=loading, busy=busy) is None
    assert "no sign of life for 10 seconds" in str(verdict(watchdog, 30.1, loading=loading, busy=busy))


def test_beats_do_not_help_a_busy_worker_that_makes_no_step() -> None:
    assert verdict(beaten(60), 60) is None
    assert "no step for 60 seconds" in str(verdict(beaten(61), 61))


def test_every_step_is_progress() -> None:
    watchdog = beaten(50)
    watchdog.beat(1, 50)
    watchdog.heard(109)
    assert verdict(watchdog, 109) is None
    assert verdict(watchdog, 111) is not None


def test_a_worker_without_work_may_rest_and_its_rest_counts_for_nothing_afterwards() -> None:
    watchdog = beaten(1000)
    assert verdict(watchdog, 1000, busy=False) is None
    watchdog.heard(1059)
    assert verdict(watchdog, 1059) is None
    assert verdict(watchdog, 1061) is not None


def test_loading_may_take_longer_and_every_stage_begins_the_wait_anew() -> None:
    watchdog = beaten(600)
    assert verdict(watchdog, 600, loading=True) is None
    watchdog.progressed(600)
    watchdog.heard(1200)
    assert verdict(watchdog, 1200, loading=True) is None
    assert "no progress for 600 seconds" in str(verdict(watchdog, 1201, loading=True))


@pytest.mark.parametrize("busy", [True, False])
def test_a_call_that_nobody_answers_is_a_hang_however_many_steps_are_made(busy: bool) -> None:
    watchdog = beaten(100)
    watchdog.progressed(100)
    assert verdict(watchdog, 100, busy=busy, asked=40) is None
    assert "call unanswered for 60 seconds" in str(verdict(watchdog, 100, busy=busy, asked=39))


def test_a_worker_that_has_calls_and_no_requests_need_not_make_steps() -> None:
    assert verdict(beaten(1000), 1000, busy=False, asked=999) is None
