"""The tools that a client offers, and whether the model has to use them."""

from collections.abc import Sequence

import msgspec

from mlxk2.domain.text.grammar.choice import ToolChoice
from mlxk2.entrypoints.http.anthropic.complaints import complaint
from mlxk2.entrypoints.http.anthropic.wire import AnyChoice, AutoChoice, CustomTool, NamedChoice, NoChoice
from mlxk2.ports.conversation import Tool

Choice = AutoChoice | AnyChoice | NamedChoice | NoChoice


def tools_of(offered: Sequence[CustomTool] | None) -> tuple[Tool, ...]:
    """Raises ValidationError for a schema that is not an object's, and for names that are used twice."""
    tools = tuple(_tool(number, tool) for number, tool in enumerate(offered or ()))
    if len({tool.name for tool in tools}) < len(tools):
        raise complaint(("tools",), "Tool names must be unique.")
    return tools


def choice_of(choice: Choice | None, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that the model may use, and how. Raises ValidationError for a choice among no tools."""
    if choice is None:
        return tools, ToolChoice()
    if not tools:
        raise complaint(("tool_choice",), "tool_choice may only be specified while providing tools")
    if isinstance(choice, NoChoice):
        return (), ToolChoice()
    name = choice.name if isinstance(choice, NamedChoice) else None
    return tools, ToolChoice(isinstance(choice, AnyChoice), name, not choice.disable_parallel_tool_use)


def _tool(number: int, tool: CustomTool) -> Tool:
    path = ("tools", str(number))
    if tool.defer_loading:
        raise complaint((*path, "defer_loading"), "this server has no tool search; leave it out, and the tool is seen")
    schema = msgspec.json.decode(tool.input_schema)
    if not isinstance(schema, dict):
        raise complaint((*path, "input_schema"), "Input should be a valid dictionary")
    if schema.get("type") != "object":
        told = "Input should be 'object'" if "type" in schema else "Field required"
        raise complaint((*path, "input_schema", "type"), told)
    return Tool(tool.name, tool.description or "", bytes(tool.input_schema).decode(), bool(tool.strict))
