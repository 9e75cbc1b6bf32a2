"""Following a call's text while it grows: a look at one place says the same as a look from the beginning."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.text.calls.quoting import JSON, Dialect, InQuotes, InTags, Quoting

PYTHON = Dialect(('"', "'"), escapes=True)
GEMMA = Dialect(('<|"|>',), escapes=False)


@pytest.mark.parametrize(
    ("quoting", "text", "inside"),
    [
        (InQuotes(JSON), "", False),
        (InQuotes(JSON), '{"a": "b', True),
        (InQuotes(JSON), '{"a": "b"', False),
        (InQuotes(JSON), '{"a\\"', True),
        (InQuotes(JSON), '{"a\\\\"', False),
        (InQuotes(JSON), '\\"', True),
        (InQuotes(JSON), "'", False),
        (InQuotes(PYTHON), "'\"", True),
        (InQuotes(PYTHON), "'\"'", False),
        (InQuotes(PYTHON), "'\\'", True),
        (InQuotes(GEMMA), '<|"|>\\', True),
        (InQuotes(GEMMA), '<|"|>\\<|"|>', False),
        (InQuotes(GEMMA), '<|"|', False),
        (InTags("<v>", "</v>"), "</v>", False),
        (InTags("<v>", "</v>"), "<v>a<v>", True),
        (InTags("<v>", "</v>"), "<v>a<v></v>", False),
    ],
)
def test_a_place_is_inside_a_value_or_not(quoting: Quoting, text: str, inside: bool) -> None:
    assert quoting.open_at(text, len(text)) is inside


KINDS: list[tuple[Callable[[], Quoting], list[str]]] = [
    (lambda: InQuotes(JSON), ['"', "\\", "a"]),
    (lambda: InQuotes(PYTHON), ['"', "'", "\\", "a"]),
    (lambda: InQuotes(GEMMA), ["<|", '"', "|>", '<|"|>', "\\"]),
    (lambda: InTags("<v>", "</v>"), ["<v>", "</v>", "<", "/", "v", ">"]),
]


@pytest.mark.parametrize(("new", "alphabet"), KINDS)
@settings(deadline=None)
@given(data=st.data())
def test_looking_step_by_step_is_looking_at_once(
    new: Callable[[], Quoting], alphabet: list[str], data: st.DataObject
) -> None:
    text = data.draw(st.lists(st.sampled_from(alphabet), max_size=20).map("".join))
    followed = new()
    for place in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))):
        assert followed.open_at(text, place) is new().open_at(text[:place], place)
