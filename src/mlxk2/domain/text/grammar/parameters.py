"""The parameters of a tool, taken apart for grammars that write them one by one."""

import json
from dataclasses import dataclass

from mlxk2.domain.text.calls.schemas import json_types
from mlxk2.ports.conversation import Tool
from mlxk2.ports.errors import ValidationError

Schema = dict[str, object]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`schema` stands for itself: the definitions that it refers to are in it. `types` are those of JSON, if known."""

    name: str
    schema: Schema
    types: frozenset[str]
    required: bool


def root_schema(tool: Tool, *, lenient: bool) -> Schema:
    """The schema of a tool's arguments; they are an object whatever it says.

    `lenient`: keywords that the grammar engine does not know are passed over instead of refused. Raises
    ValidationError for what is not the text of a JSON schema.
    """
    try:
        schema = json.loads(tool.parameters)
    except (ValueError, RecursionError) as error:
        raise _not_a_schema(tool) from error
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise _not_a_schema(tool)
    return {"type": "object", **schema, **({"x-guidance": {"lenient": True}} if lenient else {})}


def parameters(root: Schema) -> list[Parameter]:
    """The parameters in the schema's order, for formats that write them without JSON around them."""
    properties, required = root.get("properties"), root.get("required")
    wanted = required if isinstance(required, list) else []
    found = properties.items() if isinstance(properties, dict) else ()
    return [Parameter(name, alone(schema, root), json_types(schema, root), name in wanted) for name, schema in found]


def alone(schema: object, root: Schema) -> Schema:
    """A part of a schema with what it may refer to."""
    part = schema if isinstance(schema, dict) else {}
    needed = ("$defs", "definitions", "x-guidance") if "$ref" in json.dumps(part) else ("x-guidance",)
    return {**{key: root[key] for key in needed if key in root}, **part}


def allowed_values(schema: Schema) -> list[object]:
    """What `enum` or `const` allow, where it can be written without JSON; empty where anything may stand."""
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(allowed, list) or any(isinstance(value, list | dict) for value in allowed):
        return []
    return allowed


def _not_a_schema(tool: Tool) -> ValidationError:
    return ValidationError(f"The parameters of the tool '{tool.name}' are not a JSON schema; give an object of JSON")
