"""A request's tools have limits, wherever they enter."""

from collections.abc import Callable

import pytest

from mlxk2.domain.text.grammar.choice import ToolChoice, tool_structure
from mlxk2.domain.text.reader import OutputReader, Reading
from mlxk2.domain.text.tools import LONGEST_PARAMETERS, MOST_TOOLS, check_tools
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import ValidationError

MARKERS = Markers(tool_format="json_tools")
DOORS: list[Callable[[tuple[Tool, ...]], object]] = [
    check_tools,
    lambda tools: OutputReader(Reading(MARKERS, tools)),
    lambda tools: tool_structure(MARKERS, tools, ToolChoice(), opens_reasoning=False),
]
MANY = tuple(Tool(f"f{number}") for number in range(MOST_TOOLS + 1))
LONG = Tool("long", parameters="{}".ljust(LONGEST_PARAMETERS + 1))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("tools", "message"),
    [
        (MANY, "There are 129 tools: a request may have at most 128"),
        ((LONG,), "the tool 'long' have 262145 characters: they may have at most 262144"),
    ],
)
def test_too_much_is_refused_with_the_limit(
    door: Callable[[tuple[Tool, ...]], object], tools: tuple[Tool, ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        door(tools)


@pytest.mark.parametrize("door", DOORS)
def test_as_much_as_is_allowed_is_taken(door: Callable[[tuple[Tool, ...]], object]) -> None:
    door(MANY[:MOST_TOOLS])
    door((Tool("long", parameters=LONG.parameters[:-1]),))
    for one_more in (MANY[: MOST_TOOLS + 1], (LONG,)):
        with pytest.raises(ValidationError):
            door(one_more)
