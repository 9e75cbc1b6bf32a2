"""Bodies that were not written with care: whatever they hold, they are read or refused with a sentence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.entrypoints.http.errors import Refusal, problem_of
from mlxk2.entrypoints.http.openai.chat.parse import parse_chat
from mlxk2.entrypoints.http.openai.completions.parse import parse_completion
from mlxk2.entrypoints.http.openai.tokens import parse_detokenize, parse_tokenize
from mlxk2.ports.errors import ValidationError
from tests.entrypoints.http.openai.asking import HELLO, SCHEMA, called, function, refused
from tests.entrypoints.http.strange import STRANGE, changed, paths_of

Parse = Callable[[bytes], object]

COMMON: dict[str, Any] = {
    "model": "demo",
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 1,
    "top_p": 0.9,
    "seed": 1,
    "n": 2,
    "stop": ["END"],
    "max_tokens": 50,
    "logit_bias": {"5": 1},
    "timings": True,
}
CHAT: dict[str, Any] = {
    **COMMON,
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [called()], "reasoning": "Hm."},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "sunny"},
    ],
    "tools": [function()],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "logprobs": True,
    "top_logprobs": 3,
    "reasoning_effort": "low",
    "chat_template_kwargs": {"enable_thinking": True},
    "metadata": {"a": "b"},
}
BODIES: list[tuple[Parse, dict[str, Any]]] = [
    (parse_chat, CHAT),
    (parse_completion, {**COMMON, "prompt": ["a", "b"], "echo": True, "best_of": 2}),
    (parse_completion, {**COMMON, "prompt": [[1, 2], [3]], "logprobs": 3}),
    (parse_tokenize, {"model": "demo", "messages": CHAT["messages"], "tools": CHAT["tools"]}),
    (parse_detokenize, {"model": "demo", "tokens": [1, 2]}),
]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def read(parse: Parse, body: bytes) -> None:
    """Reads the body, or sees it refused with a sentence."""
    try:
        parse(body)
    except (Refusal, ValidationError) as error:
        problem = problem_of(error)
        assert (problem.status, bool(problem.message)) == (400, True)


@pytest.mark.parametrize(("parse", "body"), BODIES)
def test_the_bodies_as_they_are_can_be_read(parse: Parse, body: dict[str, Any]) -> None:
    asked: Any = parse(json.dumps(body).encode())
    assert asked.reference == "demo"


@given(st.sampled_from([(parse, body, path) for parse, body in BODIES for path in paths_of(body)]), STRANGE)
def test_a_strange_value_anywhere_is_read_or_refused(
    place: tuple[Parse, dict[str, Any], tuple[Any, ...]], strange: Any
) -> None:
    parse, body, path = place
    read(parse, json.dumps(changed(body, path, strange)).encode())


@given(st.sampled_from(BODIES), st.data())
def test_bytes_that_were_damaged_are_read_or_refused(case: tuple[Parse, dict[str, Any]], data: st.DataObject) -> None:
    whole = bytearray(json.dumps(case[1]).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read(case[0], bytes(whole[: data.draw(st.integers(0, len(whole)))]))


_FREE = {"parameters", "schema", "metadata", "logit_bias"}
OBJECTS = [
    (parse, body, path)
    for parse, body in BODIES
    for path in paths_of(body)
    if isinstance(at(body, path), dict) and not _FREE & set(path)
]


@pytest.mark.parametrize(("parse", "body", "path"), OBJECTS)
def test_a_strange_field_anywhere_is_refused_by_name(parse: Parse, body: dict[str, Any], path: tuple[Any, ...]) -> None:
    problem = refused(parse, json.dumps(changed(body, path, {**at(body, path), "strange": 1})).encode())
    assert problem.code == "unknown_parameter"
    assert (problem.parameter or "").split(".")[-1] == "strange"
