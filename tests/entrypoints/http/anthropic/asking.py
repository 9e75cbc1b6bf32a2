"""Bodies as clients send them, and what was made of them."""

import json
from typing import Any

import pytest

from mlxk2.entrypoints.http.anthropic.parse import MessageAsked, parse_message
from mlxk2.ports.errors import ValidationError

HELLO = {"role": "user", "content": "hello"}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def body(**fields: Any) -> bytes:
    """A small request, with these fields changed or added."""
    return json.dumps({"model": "demo", "max_tokens": 16, "messages": [HELLO], **fields}).encode()


def asked(**fields: Any) -> MessageAsked:
    return parse_message(body(**fields))


def complaint(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        asked(**fields)
    return caught.value.message


def tool_use(call_id: str = "toolu_abcdefghi", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {"city": "Ulm"}, **fields}


def tool_result(call_id: str = "toolu_abcdefghi", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "sunny", **fields}
