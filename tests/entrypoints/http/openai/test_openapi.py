"""The OpenAPI document: valid, complete, and true of what is decoded and written."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import msgspec
import pytest
import schemathesis

from mlxk2.entrypoints.http import anthropic, openai, operating
from mlxk2.entrypoints.http.errors import AnthropicFailure, OpenAiFailure, Problem, body_of
from mlxk2.entrypoints.http.openai.chat.wire import CreateChatCompletion
from mlxk2.entrypoints.http.openai.chat.writer import ChatWriter
from mlxk2.entrypoints.http.openai.completions.wire import CreateCompletion
from mlxk2.entrypoints.http.openai.manner import Manner
from mlxk2.entrypoints.http.openapi import document
from tests.entrypoints.http.openai.answering import CALL, Said, Session, chunks_of
from tests.entrypoints.http.openai.asking import HELLO, SCHEMA, called, function

ALL = (*openai.OPERATIONS, *anthropic.OPERATIONS, *operating.OPERATIONS)


@cache
def written(*, has_keys: bool = True) -> Any:
    return json.loads(msgspec.json.encode(document(ALL, "1.2.3", has_keys=has_keys)))


def validator(name: str) -> Any:
    components = written()["components"]
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_the_document_is_valid() -> None:
    schemathesis.openapi.from_dict(written()).validate()
    for schema in written()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    components = written()["components"]["schemas"]
    references = {node["$ref"].rpartition("/")[2] for node in nodes(written()) if isinstance(node.get("$ref"), str)}
    assert references == set(components)


def test_every_operation_is_there_with_its_errors() -> None:
    paths = written()["paths"]
    assert {(path, method) for path, item in paths.items() for method in item} == {
        (operation.path, operation.method) for operation in ALL
    }
    chat = paths["/v1/chat/completions"]["post"]
    assert {int(status) for status in chat["responses"]} >= {200, 400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504}
    assert "Retry-After" in chat["responses"]["503"]["headers"]
    assert chat["security"] == [{"bearer": []}, {"apiKey": []}]


def test_names_of_operations_are_unique() -> None:
    assert len({operation.name for operation in ALL}) == len(ALL)


def test_a_server_without_keys_does_not_ask_for_one() -> None:
    plain = written(has_keys=False)
    assert "securitySchemes" not in plain["components"]
    assert "401" not in plain["paths"]["/v1/chat/completions"]["post"]["responses"]


def test_what_needs_no_key_says_so() -> None:
    assert written()["paths"]["/health"]["get"]["security"] == []


def test_errors_are_what_the_document_says() -> None:
    problem = Problem(400, "invalid_request_error", "No.", "model", "x", 5)
    openai_body = msgspec.json.decode(body_of(problem, "openai", "r"))
    assert msgspec.to_builtins(msgspec.convert(openai_body, OpenAiFailure)) == openai_body
    anthropic_body = msgspec.json.decode(body_of(problem, "anthropic", "r"))
    assert msgspec.to_builtins(msgspec.convert(anthropic_body, AnthropicFailure)) == anthropic_body


_GOOD_CHATS: list[dict[str, Any]] = [
    {"messages": [HELLO]},
    {"messages": [HELLO, {"role": "assistant", "content": None, "tool_calls": [called()]}]},
    {"messages": [HELLO], "tools": [function()], "tool_choice": {"type": "function", "function": {"name": "x"}}},
    {"messages": [HELLO], "temperature": 0, "top_p": 0, "seed": -1, "logit_bias": {"5": -100}},
    {"messages": [HELLO], "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
    {"messages": [HELLO], "stop": ["a"], "stream": True, "stream_options": {"include_usage": True}},
]
_BAD_CHATS: list[dict[str, Any]] = [
    {},
    {"messages": []},
    {"messages": [{"role": "robot", "content": "a"}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
    {"messages": [HELLO], "temperature": 1e-9},
    {"messages": [HELLO], "top_p": 1.1},
    {"messages": [HELLO], "max_tokens": 0},
    {"messages": [HELLO], "n": 33},
    {"messages": [HELLO], "logit_bias": {"a": 1}},
    {"messages": [HELLO], "functions": []},
    {"messages": [HELLO], "unknown": 1},
    {"messages": [HELLO], "stop": ""},
]


def test_the_events_of_a_stream_are_what_the_document_says() -> None:
    content = written()["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    data = content["text/event-stream"]["schema"]["properties"]["data"]
    forms = [form["contentSchema"]["$ref"].rpartition("/")[2] for form in data["anyOf"] if "contentSchema" in form]
    assert forms == ["ChatChunk", "OpenAiFailure"]
    for chunk in chunks_of(Session(ChatWriter(Manner(usage=True)), [Said(["a", CALL])]).streamed()):
        validator("ChatChunk").validate(chunk)


@pytest.mark.parametrize("body", _GOOD_CHATS)
def test_the_document_allows_what_is_taken(body: dict[str, Any]) -> None:
    whole = {"model": "m", **body}
    validator("CreateChatCompletion").validate(whole)
    msgspec.json.decode(json.dumps(whole), type=CreateChatCompletion)


@pytest.mark.parametrize("body", _BAD_CHATS)
def test_the_document_forbids_what_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator("CreateChatCompletion").validate({"model": "m", **body})


@pytest.mark.parametrize(
    ("prompt", "allowed"), [("a", True), (["a"], True), ([1], True), ([[1]], True), (["a", 1], False), ([], False)]
)
def test_a_prompt_is_described_as_it_is_read(prompt: Any, *, allowed: bool) -> None:
    body = {"model": "m", "prompt": prompt}
    assert validator("CreateCompletion").is_valid(body) is allowed
    if allowed:
        msgspec.convert(body, CreateCompletion)
