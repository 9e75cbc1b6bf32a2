"""Stop strings: never a leak, never a loss, whatever the pieces."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.stopping import LONGEST_STOP, MOST_STOPS, StopMatcher, check_stops
from mlxk2.ports.errors import ValidationError
from tests.domain.text.work import calls_made


def fed(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
    text = "".join(matcher.feed(piece) for piece in pieces) + matcher.finish()
    return text, matcher.stopped


@pytest.mark.parametrize(
    ("stops", "pieces", "text", "stopped"),
    [
        (["END"], ["hello ", "END", " more"], "hello ", True),
        (["END"], ["hello E", "N", "D more"], "hello ", True),
        (["END"], ["hello E", "NCORE"], "hello ENCORE", False),
        (["END"], ["hello E"], "hello E", False),
        (["\n\n", "END"], ["a\n", "\nb END"], "a", True),
        (["abc", "b"], ["a", "b", "c"], "a", True),
        (["aab"], ["aaab"], "a", True),
        ([], ["a", "b"], "ab", False),
        (["x"], ["x"], "", True),
        (["ab", "b"], ["a", "b"], "", True),
        (["abcd", "bc"], ["ab", "cd"], "a", True),
    ],
)
def test_text_ends_before_the_stop_that_completes_first(
    stops: list[str], pieces: list[str], text: str, stopped: bool
) -> None:
    assert fed(stops, pieces) == (text, stopped)


@pytest.mark.parametrize(
    ("stops", "pieces", "matched"),
    [
        (["END", "STOP"], ["hello S", "TOP END"], "STOP"),
        (["ab", "b"], ["a", "b"], "ab"),
        (["abc", "b"], ["a", "b", "c"], "b"),
        (["END"], ["hello EN"], None),
    ],
)
def test_the_stop_that_was_found_is_told(stops: list[str], pieces: list[str], matched: str | None) -> None:
    matcher = StopMatcher(stops)
    for piece in pieces:
        matcher.feed(piece)
    assert matcher.matched == matched


def test_only_what_could_become_a_stop_is_held_back() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.feed("say EN") == "say "
    assert matcher.feed("x") == "ENx"


def test_nothing_comes_out_after_a_stop() -> None:
    matcher = StopMatcher(["!"])
    assert [matcher.feed("a!b"), matcher.feed("c"), matcher.finish()] == ["a", "", ""]


@pytest.mark.parametrize(
    ("stops", "message"),
    [
        (["a", ""], "stop must not be empty"),
        ("a", "stop must be a list of texts"),
        (["a", 5], "stop must be a list of texts"),
        (["a"] * (MOST_STOPS + 1), "stop has 65 texts: it may have at most 64"),
        (["a", "a" * (LONGEST_STOP + 1)], "stop has a text of 1025 characters: it may have at most 1024"),
    ],
)
def test_stops_that_cannot_be_looked_for_are_refused(stops: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        check_stops(stops)


MOST = ["a" * (LONGEST_STOP - 1) + chr(ord("b") + number) for number in range(MOST_STOPS)]


def test_as_many_and_as_long_stops_as_are_allowed_are_found() -> None:
    assert check_stops(MOST) == tuple(MOST)
    assert fed(MOST, ["x", "a" * 2000, "c", "d"]) == ("x" + "a" * (2001 - LONGEST_STOP), True)


def test_stops_that_almost_complete_again_and_again_cost_no_more_than_one_look_at_a_character() -> None:
    matcher, characters = StopMatcher(MOST), 300

    def feed() -> None:
        for _ in range(characters):
            assert matcher.feed("a") == ""

    assert calls_made(feed) < 10 * MOST_STOPS * characters


def expected(text: str, stops: list[str]) -> str:
    """What the rule says, read off the whole text: the first character that completes a stop, and the longest one."""
    for place in range(len(text) + 1):
        complete = [stop for stop in stops if text[:place].endswith(stop)]
        if complete:
            return text[: place - max(map(len, complete))]
    return text


LETTERS = st.text(alphabet="ab\n", max_size=30)


@settings(deadline=None)
@given(LETTERS, st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3), st.data())
def test_the_result_does_not_depend_on_how_the_text_is_cut(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert fed(stops, pieces) == fed(stops, list(text))


@settings(deadline=None)
@given(LETTERS, st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_stop_string_ever_gets_out(text: str, stops: list[str]) -> None:
    result, stopped = fed(stops, list(text))
    assert not any(stop in result for stop in stops)
    assert text.startswith(result)
    assert stopped == any(stop in text for stop in stops)


@settings(deadline=None)
@given(LETTERS, st.lists(st.text(alphabet="ab\n", min_size=1, max_size=6), max_size=4))
def test_what_comes_out_is_what_the_rule_says(text: str, stops: list[str]) -> None:
    assert fed(stops, list(text))[0] == expected(text, stops)
