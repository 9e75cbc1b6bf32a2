"""The parameters of a request's tools, as far as reading their calls needs them.

Formats that write values without their JSON type take it from the tool's schema. A value that fits no type of its
schema stays text: whoever runs the tool decides what to say about it.
"""

from collections.abc import Sequence

from mlxk2.domain.text.calls.jsons import NotJson, read_json
from mlxk2.domain.text.json_schema import Json, Schema, UnreadableSchema, read_schema
from mlxk2.domain.text.json_types import JsonTypes, type_of
from mlxk2.ports.conversation import Tool


class ToolSchemas:
    """Looks up the types that a parameter may have. A schema that is not an object of JSON knows no types."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: _Parameters(_parsed(tool.parameters)) for tool in tools}

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def typed(self, tool: str, parameter: str, text: str) -> Json:
        """The value that the text stands for, by the parameter's schema."""
        known = self._tools.get(tool)
        return typed_value(text, known.types(parameter) if known else frozenset())


class _Parameters:
    """The types of one tool's parameters, each found once: a model may name the same one again and again."""

    def __init__(self, root: Schema) -> None:
        properties = root.get("properties")
        self._schemas: Schema = properties if isinstance(properties, dict) else {}
        self._types = JsonTypes(root)
        self._known: dict[str, frozenset[str]] = {}

    def types(self, parameter: str) -> frozenset[str]:
        if parameter not in self._schemas:
            return frozenset()
        if parameter not in self._known:
            self._known[parameter] = self._types.of(self._schemas[parameter])
        return self._known[parameter]


def typed_value(text: str, types: frozenset[str]) -> Json:
    """The text as the JSON value it stands for, if its type is allowed; as text otherwise, and where no type is known
    and it is not JSON."""
    if types == {"string"}:
        return text
    try:
        value = read_json(text)
    except NotJson:
        return _spelled_otherwise(text, types)
    kind = type_of(value)
    if not types or kind in types or (kind == "integer" and "number" in types):
        return value
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    return text


def _spelled_otherwise(text: str, types: frozenset[str]) -> Json:
    """Python's words for the values of JSON, where the schema expects such a value."""
    word = text.strip().lower()
    if "boolean" in types and word in ("true", "false"):
        return word == "true"
    if "null" in types and word in ("none", "null"):
        return None
    return text


def _parsed(parameters: str) -> Schema:
    try:
        schema = read_schema(parameters)
    except UnreadableSchema:
        return {}
    return schema if isinstance(schema, dict) else {}
