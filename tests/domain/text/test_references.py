"""Parts of a schema that stand alone: what they refer to comes with them, once, and nothing else."""

import pytest

from mlxk2.domain.text.grammar.references import References
from mlxk2.domain.text.json_schema import Schema
from mlxk2.ports.errors import ValidationError

ROOT: Schema = {
    "properties": {
        "list": {"type": "array", "items": {"type": "string"}},
        "a~b": {"type": "integer"},
        "odd name": {"$ref": "#/$defs/node/properties/value"},
    },
    "$defs": {
        "node": {
            "$id": "https://example.org/node",
            "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
        },
        "unused": {"type": "null"},
        "through": {"$ref": "#/properties/odd%20name"},
    },
}
NODE = {"properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/0"}}}


@pytest.mark.parametrize(
    ("part", "alone"),
    [
        ({"type": "string"}, {"type": "string"}),
        (
            {"$ref": "#/properties/list/items", "minLength": 2},
            {"$ref": "#/$defs/0", "minLength": 2, "$defs": {"0": {"type": "string"}}},
        ),
        (
            {"items": {"$ref": "#/properties/a~0b"}},
            {"items": {"$ref": "#/$defs/0"}, "$defs": {"0": {"type": "integer"}}},
        ),
        ({"$ref": "#/$defs/node"}, {"$ref": "#/$defs/0", "$defs": {"0": NODE}}),
        (
            {"anyOf": [{"$ref": "#/$defs/node/properties/value"}, {"$ref": "#/$defs/node"}]},
            {"anyOf": [{"$ref": "#/$defs/0/properties/value"}, {"$ref": "#/$defs/0"}], "$defs": {"0": NODE}},
        ),
        (
            {"$ref": "#/$defs/through"},
            {
                "$ref": "#/$defs/1",
                "$defs": {
                    "0": {"type": "integer"},
                    "1": {"$ref": "#/$defs/2"},
                    "2": {"$ref": "#/$defs/0"},
                },
            },
        ),
        (
            {"enum": [{"$ref": "#/none"}], "default": {"$ref": "x"}},
            {"enum": [{"$ref": "#/none"}], "default": {"$ref": "x"}},
        ),
        (
            {"properties": {"$ref": {"type": "null"}, "enum": {"$ref": "#/$defs/unused"}}},
            {
                "properties": {"$ref": {"type": "null"}, "enum": {"$ref": "#/$defs/0"}},
                "$defs": {"0": {"type": "null"}},
            },
        ),
    ],
)
def test_a_part_comes_with_what_it_refers_to(part: Schema, alone: Schema) -> None:
    assert References(ROOT).alone(part) == alone


def test_the_root_stands_for_itself_and_all_in_it() -> None:
    root: Schema = {"properties": {"below": {"$ref": "#"}, "a/b c": {"type": "null"}}}
    part: Schema = {"anyOf": [{"$ref": "#"}, {"$ref": "#/properties/a~1b%20c"}]}
    assert References(root).alone(part) == {
        "anyOf": [{"$ref": "#/$defs/0"}, {"$ref": "#/$defs/0/properties/a~1b%20c"}],
        "$defs": {"0": {"properties": {"below": {"$ref": "#/$defs/0"}, "a/b c": {"type": "null"}}}},
    }


@pytest.mark.parametrize("reference", ["#/$defs/none", "#anchor", "https://example.org/other"])
def test_a_reference_to_nowhere_is_refused_with_its_words(reference: str) -> None:
    with pytest.raises(ValidationError, match=f"refers to '{reference.replace('$', '.')}'"):
        References(ROOT).alone({"items": {"$ref": reference}})
