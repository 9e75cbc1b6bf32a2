"""How much a request may bring as tools: all of it is read, and written into a grammar, before the first token."""

from collections.abc import Sequence

from mlxk2.ports.conversation import Tool
from mlxk2.ports.errors import ValidationError

MOST_TOOLS = 128
"""As many as OpenAI allows."""
LONGEST_PARAMETERS = 256 * 1024
"""Characters of one tool's schema."""


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises ValidationError for more tools, or longer schemas, than a request may bring."""
    if len(tools) > MOST_TOOLS:
        raise ValidationError(
            f"There are {len(tools)} tools: a request may have at most {MOST_TOOLS}; leave some out", parameter="tools"
        )
    for tool in tools:
        if len(tool.parameters) > LONGEST_PARAMETERS:
            raise ValidationError(
                f"The parameters of the tool '{tool.name[:80]}' have {len(tool.parameters)} characters: they may have"
                f" at most {LONGEST_PARAMETERS}; make the schema simpler",
                parameter="tools",
            )
