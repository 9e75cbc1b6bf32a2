"""The parameters of a tool, taken apart for grammars that write them one by one."""

from dataclasses import dataclass

from mlxk2.domain.text.json_schema import Json, Schema, UnreadableSchema, read_schema
from mlxk2.ports.conversation import Tool
from mlxk2.ports.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Parameter:
    """`schema` is a part of the tool's: what it refers to has to be looked up there."""

    name: str
    schema: Json
    required: bool


def root_schema(tool: Tool, *, lenient: bool) -> Schema:
    """The schema of a tool's arguments; they are an object whatever it says.

    `lenient`: keywords that the grammar engine does not know are passed over instead of refused. Raises
    ValidationError for what is not the text of a JSON schema.
    """
    try:
        schema = read_schema(tool.parameters)
    except UnreadableSchema as error:
        raise _not_a_schema(tool, str(error)) from error
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise _not_a_schema(tool, "is not an object of JSON with properties")
    return {"type": "object", **schema, **({"x-guidance": {"lenient": True}} if lenient else {})}


def parameters(schema: Schema) -> list[Parameter]:
    """The parameters in the schema's order, for formats that write them without JSON around them."""
    properties, required = schema.get("properties"), schema.get("required")
    wanted = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    found = properties.items() if isinstance(properties, dict) else ()
    return [Parameter(name, part, name in wanted) for name, part in found]


def allowed_values(schema: Schema) -> list[Json]:
    """What `enum` or `const` allow, where it can be written without JSON; empty where anything may stand."""
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(allowed, list) or any(isinstance(value, list | dict) for value in allowed):
        return []
    return allowed


def _not_a_schema(tool: Tool, reason: str) -> ValidationError:
    return ValidationError(
        f"The parameters of the tool '{tool.name[:80]}' cannot be used as a JSON schema: it {reason}; correct the tool",
        parameter="tools",
    )
