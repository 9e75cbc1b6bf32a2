"""The tools that a client offers, and whether the model has to use them.

A choice among allowed tools, and the choice of none, show the model the tools that it may call and no others.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from mlxk2.domain.text.grammar.choice import ToolChoice
from mlxk2.entrypoints.http.openai.chat.wire import (
    AllowedChoice,
    AllowedTool,
    FunctionChoice,
    FunctionTool,
    Schema,
    ToolChoiceOption,
)
from mlxk2.entrypoints.http.openai.complaints import complaint
from mlxk2.ports.conversation import Tool

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_name(place: str, name: str) -> None:
    """Raises Refusal for what OpenAI's API takes for no name of a function or a format."""
    if not _NAME.fullmatch(name):
        raise complaint(place, f"Invalid '{place}': it must be 1 to 64 letters, digits, underscores and dashes.")


def text_of(schema: Schema) -> str:
    return msgspec.json.encode(schema).decode()


def tools_of(offered: Sequence[FunctionTool] | None) -> tuple[Tool, ...]:
    """Raises Refusal for names that are none, or are used twice."""
    tools: dict[str, Tool] = {}
    for number, one in enumerate(offered or ()):
        place, function = f"tools[{number}].function.name", one.function
        check_name(place, function.name)
        if function.name in tools:
            raise complaint(place, f"There are two tools of the name '{function.name}'; give each its own")
        tool = Tool(function.name, function.description or "", strict=bool(function.strict))
        schema = function.parameters
        tools[tool.name] = tool if schema is None else replace(tool, parameters=text_of(schema))
    return tuple(tools.values())


def choice_of(
    choice: ToolChoiceOption | None, tools: tuple[Tool, ...], *, parallel: bool
) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that the model may use, and how. Raises Refusal for names of tools that are not there."""
    if choice == "none":
        return (), ToolChoice()
    if isinstance(choice, FunctionChoice):
        return tools, ToolChoice(name=choice.function.name, parallel=parallel)
    if isinstance(choice, AllowedChoice):
        allowed = choice.allowed_tools
        return _among(tools, allowed.tools), ToolChoice(required=allowed.mode == "required", parallel=parallel)
    return tools, ToolChoice(required=choice == "required", parallel=parallel)


def _among(tools: tuple[Tool, ...], named: Sequence[AllowedTool]) -> tuple[Tool, ...]:
    names = {tool.name for tool in tools}
    for number, one in enumerate(named):
        if one.function.name not in names:
            place = f"tool_choice.allowed_tools.tools[{number}].function.name"
            raise complaint(place, f"'{one.function.name[:64]}' is not among the tools; name one of them")
    allowed = {one.function.name for one in named}
    return tuple(tool for tool in tools if tool.name in allowed)
