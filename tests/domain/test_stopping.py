"""Stop strings: never a leak, never a loss, whatever the pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.stopping import StopMatcher, check_stops
from mlxk2.ports.errors import ValidationError


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


def test_only_what_could_become_a_stop_is_held_back() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.feed("say EN") == "say "
    assert matcher.feed("x") == "ENx"


def test_nothing_comes_out_after_a_stop() -> None:
    matcher = StopMatcher(["!"])
    assert [matcher.feed("a!b"), matcher.feed("c"), matcher.finish()] == ["a", "", ""]


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(ValidationError, match="--stop"):
        check_stops(["a", ""])


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
