"""The parameters of a request's tools, as far as reading their calls needs them.

Formats that write values without their JSON type take it from the tool's schema. A value that fits no type of its
schema stays text: whoever runs the tool decides what to say about it.
"""

import json
from collections.abc import Sequence

from mlxk2.domain.text.calls.jsons import NotJson, read_json
from mlxk2.ports.conversation import Tool

Json = object
_DEEPEST = 16


class ToolSchemas:
    """Looks up the types that a parameter may have. A schema that is not an object of JSON knows no types."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._roots = {tool.name: _parsed(tool.parameters) for tool in tools}

    def __contains__(self, name: str) -> bool:
        return name in self._roots

    def typed(self, tool: str, parameter: str, text: str) -> Json:
        """The value that the text stands for, by the parameter's schema."""
        root = self._roots.get(tool, {})
        properties = root.get("properties")
        schema = properties.get(parameter) if isinstance(properties, dict) else None
        return typed_value(text, json_types(schema, root))


def json_types(schema: Json, root: dict[str, Json], depth: int = 0) -> frozenset[str]:
    """The JSON types that a schema names, through `enum`, `const`, `anyOf`, `oneOf`, `allOf` and local references."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return frozenset()
    named = schema.get("type")
    types = {kind for kind in (named if isinstance(named, list) else [named]) if isinstance(kind, str)}
    values = schema.get("enum")
    types |= {_type_of(value) for value in values} if isinstance(values, list) else set()
    types |= {_type_of(schema["const"])} if "const" in schema else set()
    for key in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(key)
        for branch in branches if isinstance(branches, list) else ():
            types |= json_types(branch, root, depth + 1)
    if isinstance(reference := schema.get("$ref"), str):
        types |= json_types(_resolved(reference, root), root, depth + 1)
    return frozenset(types)


def typed_value(text: str, types: frozenset[str]) -> Json:
    """The text as the JSON value it stands for, if its type is allowed; as text otherwise, and where no type is known
    and it is not JSON."""
    if types == {"string"}:
        return text
    try:
        value = read_json(text)
    except NotJson:
        return _spelled_otherwise(text, types)
    kind = _type_of(value)
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


def _type_of(value: Json) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]


def _resolved(reference: str, root: dict[str, Json]) -> Json:
    if not reference.startswith("#"):
        return None
    here: Json = root
    for step in reference.split("/")[1:]:
        here = here.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
    return here


def _parsed(parameters: str) -> dict[str, Json]:
    try:
        schema = json.loads(parameters)
    except (ValueError, RecursionError):
        return {}
    return schema if isinstance(schema, dict) else {}
