"""Helpers of these tests: an answer read as a whole or in pieces, its events joined."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlxk2.domain.text.outputs import CallMade, Output, TextDelta
from mlxk2.domain.text.reader import OutputReader, Reading
from mlxk2.ports.conversation import Tool, ToolCall
from mlxk2.ports.engine import Markers

WEATHER = Tool(
    "get_weather",
    "Weather of a place",
    json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "wind": {"type": "boolean"},
                "extra": {"type": "object"},
            },
            "required": ["city"],
        }
    ),
)
TIME = Tool("get-time")
TOOLS = (WEATHER, TIME)


def markers(tool_format: str | None, *, thinks: bool = True) -> Markers:
    return Markers("<think>" if thinks else None, "</think>" if thinks else None, tool_format=tool_format)


@dataclass(frozen=True)
class Said:
    """An answer in order: ("text" | "reasoning", what) joined, and ("call", name, arguments, id)."""

    parts: tuple[tuple[str, ...], ...]
    stopped: bool

    @property
    def text(self) -> str:
        return "".join(part[1] for part in self.parts if part[0] == "text")

    @property
    def reasoning(self) -> str:
        return "".join(part[1] for part in self.parts if part[0] == "reasoning")

    @property
    def calls(self) -> list[tuple[str, object]]:
        return [(part[1], json.loads(part[2])) for part in self.parts if part[0] == "call"]


def read(reading: Reading, pieces: Sequence[str], stops: Sequence[str] = ()) -> Said:
    reader = OutputReader(reading, stops)
    outputs = [output for piece in pieces for output in reader.feed(piece)] + reader.finish()
    return Said(_joined(outputs), reader.stopped)


def _joined(outputs: Sequence[Output]) -> tuple[tuple[str, ...], ...]:
    parts: list[tuple[str, ...]] = []
    for output in outputs:
        if isinstance(output, CallMade):
            call: ToolCall = output.call
            parts.append(("call", call.name, call.arguments, call.id))
            continue
        assert output.text, "an event without text says nothing"
        kind = "text" if isinstance(output, TextDelta) else "reasoning"
        if parts and parts[-1][0] == kind:
            parts[-1] = (kind, parts[-1][1] + output.text)
        else:
            parts.append((kind, output.text))
    return tuple(parts)
