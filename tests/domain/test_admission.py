"""Who may begin, who waits and who is refused: the rules one by one, then any sequence of events."""

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mlxk2.domain.admission import Admission, Demand, Limits, Moved, waited_too_long
from mlxk2.domain.kv import row_bytes
from mlxk2.ports.engine import KvCost, KvLayers
from mlxk2.ports.errors import NotEnoughMemory, Overloaded

BYTE_A_TOKEN = KvCost((KvLayers(1),), block=1)


def admission(
    *, budget: int | None = 100, rows: int = 8, queue: int = 10, patience: float = 60.0, cost: KvCost = BYTE_A_TOKEN
) -> Admission:
    return Admission(cost, Limits(rows, budget, queue, patience))


def tokens(count: int) -> Demand:
    return Demand(count - 1, 1)


def filled(door: Admission, counts: Sequence[int]) -> list[bool]:
    """Requests 1, 2, … of so many tokens arrive at time 0; whether each may begin at once."""
    return [door.arrive(ticket, tokens(count), 0.0) for ticket, count in enumerate(counts, 1)]


def test_what_fits_begins_at_once() -> None:
    door = admission(budget=100)
    assert filled(door, [50, 50]) == [True, True]
    assert (door.running, door.waiting) == ((1, 2), ())


def test_the_batch_is_counted_as_padded_to_its_longest_request() -> None:
    door = admission(budget=100)
    assert filled(door, [40, 10, 10]) == [True, True, False]  # three rows of 40 would be 120, though 60 are needed


def test_a_longer_newcomer_makes_the_rows_of_all_longer() -> None:
    assert filled(admission(budget=100), [10, 10, 34]) == [True, True, False]
    assert filled(admission(budget=100), [10, 10, 33]) == [True, True, True]


def test_no_more_rows_than_the_engine_can_decode_together() -> None:
    assert filled(admission(rows=2), [1, 1, 1]) == [True, True, False]


def test_without_numbers_only_the_rows_are_counted() -> None:
    assert filled(admission(budget=None, rows=2), [10**9, 10**9, 1]) == [True, True, False]
    assert filled(admission(budget=1, cost=KvCost()), [10**9]) == [True]


def test_the_first_in_line_holds_up_the_others_so_that_nobody_starves() -> None:
    door = admission(budget=100)
    assert filled(door, [50, 100, 1]) == [True, False, False]
    assert door.waiting == (2, 3)
    assert door.leave(1) == (2,)
    assert door.leave(2) == (3,)


def test_one_that_ends_lets_all_begin_that_now_fit() -> None:
    door = admission(budget=100)
    filled(door, [100, 30, 30, 30, 30])
    assert door.leave(1) == (2, 3, 4)
    assert door.waiting == (5,)


def test_one_that_goes_away_from_the_head_of_the_line_lets_the_next_begin() -> None:
    door = admission(budget=100)
    filled(door, [50, 100, 1])
    assert door.leave(2) == (3,)


def test_one_that_goes_away_from_the_middle_moves_the_rest_up_in_order() -> None:
    door = admission(rows=1)
    filled(door, [1, 1, 1, 1])
    assert door.leave(3) == ()
    assert door.waiting == (2, 4)


def test_an_id_that_is_not_here_changes_nothing() -> None:
    door = admission(rows=1)
    filled(door, [1, 1])
    assert door.leave(99) == ()
    assert (door.running, door.waiting) == ((1,), (2,))


def test_what_can_never_fit_is_refused_at_once_with_both_numbers_and_what_would_fit() -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        admission(budget=100).arrive(1, Demand(30, 90), 0.0)
    assert (caught.value.needed_bytes, caught.value.limit_bytes) == (120, 100)
    assert caught.value.message == (
        "With 120 tokens this request can need 120 B, and beside the model there is memory for 100 B;"
        " ask for at most 70 tokens (max_tokens)"
    )


def test_a_prompt_that_leaves_no_room_for_an_answer_is_to_be_shortened() -> None:
    with pytest.raises(NotEnoughMemory, match=r"its prompt has 100 tokens: shorten it to fewer than 100$"):
        admission(budget=100).check(Demand(100, 5))
    admission(budget=100).check(Demand(99, 1))


def test_memory_without_room_for_any_request_asks_for_a_smaller_model() -> None:
    with pytest.raises(NotEnoughMemory, match="take a smaller model"):
        admission(budget=0).check(Demand(1, 1))


@pytest.mark.parametrize(("budget", "prompt", "room"), [(100, 30, 70), (100, 99, 1), (100, 200, 0), (None, 30, 500)])
def test_the_room_for_an_answer_is_what_the_budget_leaves(budget: int | None, prompt: int, room: int) -> None:
    assert admission(budget=budget).room(prompt, 500) == room


def test_a_full_line_refuses_and_says_what_to_do() -> None:
    door = admission(rows=1, queue=2)
    filled(door, [1, 1, 1])
    with pytest.raises(Overloaded, match="2 requests already wait for this model; try again later"):
        door.arrive(4, tokens(1), 0.0)
    assert door.waiting == (2, 3)


def test_who_waits_longer_than_the_patience_is_taken_out_of_the_line() -> None:
    door = admission(rows=1, patience=60)
    door.arrive(1, tokens(1), 0.0)
    door.arrive(2, tokens(1), 10.0)
    door.arrive(3, tokens(1), 40.0)
    assert door.pass_time(69.9) == Moved()
    assert door.pass_time(70.0) == Moved(late=(2,))
    assert door.waiting == (3,)
    assert waited_too_long(60.2).message == "The request waited 60 s for its turn and was given up; try again later"


def test_nobody_who_works_is_ever_too_late() -> None:
    door = admission(patience=60)
    door.arrive(1, tokens(1), 0.0)
    assert door.pass_time(10**6) == Moved()


def test_a_late_head_of_the_line_lets_the_next_begin() -> None:
    door = admission(budget=100, patience=60)
    door.arrive(1, tokens(50), 0.0)
    door.arrive(2, tokens(100), 0.0)
    door.arrive(3, tokens(1), 30.0)
    assert door.pass_time(60.0) == Moved(late=(2,), begun=(3,))


WINDOWED = KvCost((KvLayers(3), KvLayers(2, window=20)), fixed_bytes=7, block=4)


class AnySequence(RuleBasedStateMachine):
    """A line of its own keeps count of who should be where."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(rows=3, budget=600, queue=4, patience=50)
        self.door = Admission(WINDOWED, self.limits)
        self.now = 0.0
        self.needs: dict[int, int] = {}
        self.since: dict[int, float] = {}
        self.line: list[int] = []
        self.running: set[int] = set()
        self.ended: list[int] = []

    @rule(target=tickets, prompt=st.integers(1, 150), answer=st.integers(1, 150))
    def arrive(self, prompt: int, answer: int) -> int:
        ticket = len(self.needs) + 1
        self.needs[ticket] = row_bytes(WINDOWED, prompt + answer)
        self.since[ticket] = self.now
        try:
            begins = self.door.arrive(ticket, Demand(prompt, answer), self.now)
        except NotEnoughMemory:
            assert self.needs[ticket] > 600
            self.ended.append(ticket)
        except Overloaded:
            assert len(self.line) == self.limits.queue
            self.ended.append(ticket)
        else:
            if begins:
                assert not self.line
                self.running.add(ticket)
            else:
                self.line.append(ticket)
        return ticket

    @rule(ticket=consumes(tickets))
    def leave(self, ticket: int) -> None:
        begun = self.door.leave(ticket)
        if ticket not in self.ended:
            self.ended.append(ticket)
        self.running.discard(ticket)
        if ticket in self.line:
            self.line.remove(ticket)
        self._begin(begun)

    @rule(seconds=st.integers(0, 30))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        moved = self.door.pass_time(self.now)
        assert list(moved.late) == [ticket for ticket in self.line if self.now - self.since[ticket] >= 50]
        self.ended.extend(moved.late)
        del self.line[: len(moved.late)]
        self._begin(moved.begun)

    def _begin(self, begun: tuple[int, ...]) -> None:
        assert list(begun) == self.line[: len(begun)]
        del self.line[: len(begun)]
        self.running.update(begun)

    @invariant()
    def everyone_is_in_one_place(self) -> None:
        assert set(self.door.running) == self.running
        assert list(self.door.waiting) == self.line
        assert sorted([*self.running, *self.line, *self.ended]) == sorted(self.needs)

    @invariant()
    def the_bounds_hold(self) -> None:
        assert self._together(self.running) <= 600
        assert len(self.running) <= self.limits.rows
        assert len(self.line) <= self.limits.queue

    @invariant()
    def nobody_waits_without_need(self) -> None:
        if self.line:
            with_the_next = {*self.running, self.line[0]}
            assert self.running
            assert self._together(with_the_next) > 600 or len(with_the_next) > self.limits.rows

    def _together(self, tickets: set[int]) -> int:
        return len(tickets) * max((self.needs[ticket] for ticket in tickets), default=0)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
