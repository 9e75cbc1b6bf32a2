"""The types that a schema names, however it refers to itself."""

from typing import Any

import pytest

from mlxk2.domain.text.json_types import JsonTypes

NUMBERS = {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/ring_b"}]}
ROOT = {
    "$defs": {
        "ring_a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/ring_b"}]},
        "ring_b": {"oneOf": [{"const": None}, {"$ref": "#/$defs/ring_c"}]},
        "ring_c": {"allOf": [{"$ref": "#/$defs/ring_a"}, {"enum": [1.5, True]}]},
        "self": {"$ref": "#/$defs/self"},
        "a/b": {"type": ["array", "object"]},
    }
}
RING = {"string", "null", "number", "boolean"}


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"$ref": "#/$defs/ring_a"}, RING),
        ({"$ref": "#/$defs/ring_b"}, RING),
        ({"$ref": "#/$defs/ring_c"}, RING),
        (NUMBERS, RING | {"integer"}),
        ({"$ref": "#/$defs/self"}, set()),
        ({"$ref": "#/$defs/a~1b"}, {"array", "object"}),
        ({"$ref": "#/$defs/ring_c/allOf/1"}, {"number", "boolean"}),
        ({"$ref": "#/$defs/none"}, set()),
        ({"$ref": "https://example.org"}, set()),
        ({"anyOf": [True, {"type": "null"}]}, {"null"}),
        (True, set()),
    ],
)
def test_types_come_from_all_that_a_schema_refers_to(schema: object, types: set[str]) -> None:
    assert JsonTypes(ROOT).of(schema) == types


def test_what_is_known_from_one_part_is_right_for_the_next() -> None:
    types = JsonTypes(ROOT)
    for name in ("ring_c", "ring_a", "ring_b", "ring_c"):
        assert types.of({"$ref": f"#/$defs/{name}"}) == RING


def test_a_schema_that_branches_into_itself_is_looked_at_once() -> None:
    """Forty branches, each with the same forty: following them all to any depth would not end."""
    loop = {"anyOf": [{"$ref": "#/$defs/loop"}] * 40 + [{"type": "integer"}]}
    assert JsonTypes({"$defs": {"loop": loop}}).of({"$ref": "#/$defs/loop"}) == {"integer"}


class Counted(dict[str, Any]):
    """A schema that counts how often it is looked at."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        type(self).looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("backwards", [False, True])
def test_the_work_grows_with_the_schema_and_not_with_who_refers_to_it(backwards: bool) -> None:
    """A chain of definitions, and a parameter that refers to each of them."""
    length = 300
    chain: dict[str, Any] = {f"d{place}": Counted({"$ref": f"#/$defs/d{place + 1}"}) for place in range(length)}
    chain[f"d{length}"] = {"type": "integer"}
    types = JsonTypes({"$defs": chain})
    order = range(length, 0, -1) if backwards else range(length)
    Counted.looks = 0
    assert all(types.of({"$ref": f"#/$defs/d{place}"}) == {"integer"} for place in order)
    assert Counted.looks <= 10 * length
