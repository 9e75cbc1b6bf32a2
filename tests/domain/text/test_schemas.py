"""Values without a type of their own take it from the tool's schema."""

import json

import pytest

from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.ports.conversation import Tool

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "size": {"type": "number"},
        "flag": {"type": "boolean"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "colour": {"enum": ["1", "2"]},
        "fixed": {"const": 1},
        "kind": {"$ref": "#/$defs/kind"},
        "loop": {"$ref": "#/$defs/loop"},
        "any": {},
    },
    "$defs": {"kind": {"type": "array"}, "loop": {"$ref": "#/$defs/loop"}},
}
SCHEMAS = ToolSchemas([Tool("f", parameters=json.dumps(SCHEMA)), Tool("broken", parameters="{")])


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("text", "12", "12"),
        ("text", ' "a" ', ' "a" '),
        ("count", " 12 ", 12),
        ("count", "12.0", 12),
        ("count", "12.5", "12.5"),
        ("count", "twelve", "twelve"),
        ("size", "12", 12),
        ("flag", "True", True),
        ("flag", "1", "1"),
        ("maybe", "null", None),
        ("maybe", "None", None),
        ("maybe", "12", "12"),
        ("either", "12", 12),
        ("either", "x", "x"),
        ("colour", "1", "1"),
        ("fixed", "1", 1),
        ("kind", "[1]", [1]),
        ("loop", "[1]", [1]),
        ("any", '{"a": 1}', {"a": 1}),
        ("any", "plain", "plain"),
        ("unknown", "12", 12),
    ],
)
def test_a_value_is_what_its_schema_says(parameter: str, text: str, value: object) -> None:
    typed = SCHEMAS.typed("f", parameter, text)
    assert (typed, type(typed)) == (value, type(value))


def test_a_schema_that_cannot_be_read_types_nothing() -> None:
    assert SCHEMAS.typed("broken", "a", "x") == "x"
    assert "broken" in SCHEMAS
