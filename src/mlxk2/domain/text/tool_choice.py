"""What a request may say of the tools that it brings."""

from typing import NamedTuple


class ToolChoice(NamedTuple):
    """Whether the model has to call a tool, and which: `name` asks for exactly one call of that tool.

    `parallel` allows several calls in one answer. A request that forbids calls is one without tools.
    """

    required: bool = False
    name: str | None = None
    parallel: bool = True
