"""Bodies as OpenAI's clients send them, and what was made of them."""

import json
from collections.abc import Callable
from typing import Any

from mlxk2.entrypoints.http.errors import Problem, Refusal, problem_of
from mlxk2.entrypoints.http.openai.chat.parse import ChatAsked, parse_chat
from mlxk2.entrypoints.http.openai.completions.parse import CompletionAsked, parse_completion
from mlxk2.ports.errors import ValidationError

HELLO = {"role": "user", "content": "hello"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def function(name: str = "get_weather", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **fields}}


def called(call_id: str = "abcdefghi", name: str = "get_weather", arguments: str = '{"city": "Ulm"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_body(**fields: Any) -> bytes:
    """A small chat request, with these fields changed or added."""
    return json.dumps({"model": "demo", "messages": [HELLO], **fields}).encode()


def text_body(**fields: Any) -> bytes:
    """A small completion request, with these fields changed or added."""
    return json.dumps({"model": "demo", "prompt": "hello", **fields}).encode()


def chat(**fields: Any) -> ChatAsked:
    return parse_chat(chat_body(**fields))


def text(**fields: Any) -> CompletionAsked:
    return parse_completion(text_body(**fields))


def refused(parse: Callable[[bytes], object], body: bytes) -> Problem:
    """The 400 that comes of a body."""
    try:
        parse(body)
    except (Refusal, ValidationError) as error:
        problem = problem_of(error)
        assert problem.status == 400
        return problem
    raise AssertionError(f"{body!r} was taken")


def chat_refused(**fields: Any) -> Problem:
    return refused(parse_chat, chat_body(**fields))


def text_refused(**fields: Any) -> Problem:
    return refused(parse_completion, text_body(**fields))
