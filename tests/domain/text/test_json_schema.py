"""Schemas read within bounds, and the references in them looked up as RFC 6901 says."""

import pytest

from mlxk2.domain.text.json_schema import DEEPEST, UnreadableSchema, part_at, place_of, read_schema

DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7, "x": {"y": [{"z": 5}]}}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("#", DOCUMENT),
        ("#/foo", ["bar", "baz"]),
        ("#/foo/0", "bar"),
        ("#/", 0),
        ("#/a~1b", 1),
        ("#/c%25d", 2),
        ("#/m~0n", 8),
        ("#/%20", 7),
        ("#/x/y/0/z", 5),
        ("#/foo/2", None),
        ("#/foo/00", None),
        ("#/foo/-1", None),
        ("#/foo/²", None),
        ("#/foo/0/bar", None),
        ("#/none", None),
    ],
)
def test_a_pointer_stands_for_a_part_of_the_document(reference: str, value: object) -> None:
    place = place_of(reference)
    assert place is not None
    assert part_at(place, DOCUMENT) == value


@pytest.mark.parametrize("reference", ["", "foo", "/foo", "#foo", "other.json#/foo", "https://example.org/s#/foo"])
def test_what_is_no_pointer_into_the_document_has_no_place_in_it(reference: str) -> None:
    assert place_of(reference) is None


def test_a_schema_may_nest_up_to_a_limit() -> None:
    assert read_schema('{"a":' * DEEPEST + "1" + "}" * DEEPEST)
    with pytest.raises(UnreadableSchema, match=f"nests deeper than {DEEPEST} levels"):
        read_schema("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(UnreadableSchema, match="is not JSON"):
        read_schema(text)
