"""What is wrong with a body is told by the path of the parameter, and with what to do instead."""

from typing import Any

import pytest

from mlxk2.entrypoints.http.openai.chat.parse import parse_chat
from tests.entrypoints.http.openai.asking import HELLO, chat, chat_refused, refused


def said(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a", **fields}]}


@pytest.mark.parametrize(
    ("fields", "parameter", "message"),
    [
        ({"max_tokens": 1.0}, "max_tokens", "expected an integer, but got a decimal number instead"),
        ({"max_tokens": "5"}, "max_tokens", "expected an integer, but got a string instead"),
        ({"n": True}, "n", "expected an integer, but got a boolean instead"),
        ({"temperature": "1"}, "temperature", "expected a number, but got a string instead"),
        ({"temperature": False}, "temperature", "expected a number, but got a boolean instead"),
        ({"stream": "yes"}, "stream", "expected a boolean, but got a string instead"),
        ({"model": None}, "model", "expected a string, but got null instead"),
        ({"messages": {}}, "messages", "expected an array, but got an object instead"),
        ({"stop": 5}, "stop", "expected a string or an array, but got an integer instead"),
        ({"stop": ["a", 5]}, "stop[1]", "expected a string, but got an integer instead"),
        ({"logit_bias": {"1": "x"}}, "logit_bias", "expected a number, but got a string instead"),
        (said(content=None), "messages[0].content", "expected a string or an array, but got null instead"),
        (said(content=[{"type": "text", "text": 1}]), "messages[0].content[0].text", "expected a string"),
    ],
)
def test_types_are_strict(fields: dict[str, Any], parameter: str, message: str) -> None:
    problem = chat_refused(**fields)
    assert (problem.parameter, problem.code) == (parameter, "invalid_type")
    assert message in problem.message


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"top_a": 1}, "top_a"),
        ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
        ({"chat_template_kwargs": {"custom": 1}}, "chat_template_kwargs.custom"),
        (said(weight=1), "messages[0].weight"),
    ],
)
def test_what_is_not_known_is_not_passed_over(fields: dict[str, Any], parameter: str) -> None:
    problem = chat_refused(**fields)
    assert (problem.parameter, problem.code) == (parameter, "unknown_parameter")
    assert problem.message == f"Unrecognized request argument supplied: {parameter}"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [HELLO, {"content": "a"}]}, "messages[1].role"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type"),
        (said(content=[{"text": "a"}]), "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
    ],
)
def test_what_is_missing_is_named(fields: dict[str, Any], parameter: str) -> None:
    problem = chat_refused(**fields)
    assert (problem.parameter, problem.code) == (parameter, "missing_required_parameter")


@pytest.mark.parametrize(
    ("fields", "parameter", "values"),
    [
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "'developer'"),
        ({"tool_choice": "any"}, "tool_choice", "'required'"),
        ({"reasoning_effort": "much"}, "reasoning_effort", "'minimal'"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "'json_schema'"),
    ],
)
def test_a_value_out_of_several_is_told_which(fields: dict[str, Any], parameter: str, values: str) -> None:
    problem = chat_refused(**fields)
    assert problem.parameter == parameter
    assert values in problem.message.partition("Supported values: ")[2]


@pytest.mark.parametrize(
    ("fields", "parameter", "step"),
    [
        ({"functions": []}, "functions", "use tools"),
        ({"function_call": "auto"}, "function_call", "use tools and tool_choice"),
        ({"audio": {"voice": "a"}}, "audio", "text only"),
        ({"prediction": {"type": "content"}}, "prediction", "leave it out"),
        ({"web_search_options": {}}, "web_search_options", "tool of your own"),
        ({"moderation": {"model": "m"}}, "moderation", "leave it out"),
        ({"store": True}, "store", "keeps no answers"),
        ({"modalities": ["text", "audio"]}, "modalities[1]", "text only"),
        ({"service_tier": "flex"}, "service_tier", "use 'auto' or 'default'"),
        ({"verbosity": "low"}, "verbosity", "use 'medium'"),
        ({"reasoning_effort": "max"}, "reasoning_effort", "use 'xhigh'"),
        ({"tools": [{"custom": {"name": "a"}, "type": "custom"}]}, "tools[0].type", "describe it as a function"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "a"}}}, "tool_choice.type", "function"),
        ({"messages": [{"role": "function", "name": "f", "content": "a"}]}, "messages[0].role", "use the role 'tool'"),
        (said(name="Ann"), "messages[0].name", "write the name into the content"),
    ],
)
def test_what_this_server_has_not_is_refused_with_the_next_step(
    fields: dict[str, Any], parameter: str, step: str
) -> None:
    problem = chat_refused(**fields)
    assert problem.parameter == parameter
    assert problem.code in ("unsupported_parameter", "unsupported_value", "invalid_value")
    assert step in problem.message


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_pictures_sound_and_files_are_refused_by_name(kind: str) -> None:
    problem = chat_refused(**said(content=[{"type": "text", "text": "a"}, {kind: {"url": "http://x"}, "type": kind}]))
    assert problem.parameter == "messages[0].content[1].type"
    assert f"'{kind}'" in problem.message
    assert "text only and never fetches URLs" in problem.message


def test_nothing_about_an_object_hides_what_kind_it_is() -> None:
    fields = {"messages": [{"name": "f", "content": "a", "role": "function"}]}
    assert "older form" in chat_refused(**fields).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "must be an object of JSON, but it is an array"),
        (b"null", "must be an object of JSON, but it is null"),
        (b"{", "is not valid JSON"),
        (b'{"model": NaN}', "is not valid JSON"),
        (b"", "is not valid JSON"),
    ],
)
def test_a_body_that_is_no_object_is_told_so(body: bytes, message: str) -> None:
    assert message in refused(parse_chat, body).message


def test_an_infinite_number_is_refused() -> None:
    body = b'{"model": "a", "messages": [{"role": "user", "content": "a"}], "temperature": 1e999}'
    assert refused(parse_chat, body).parameter == "temperature"


def test_what_means_nothing_to_a_local_server_is_taken() -> None:
    taken = chat(
        user="u",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        safety_identifier="s",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        prompt_cache_options={"mode": "implicit"},
        modalities=["text"],
        verbosity="medium",
        stream=True,
        stream_options={"include_obfuscation": False},
        functions=None,
        audio=None,
    )
    plain = chat(stream=True)
    assert (taken.reference, taken.stream) == (plain.reference, plain.stream)
    assert (taken.question.messages, taken.question.options) == (plain.question.messages, plain.question.options)


def test_what_is_broken_further_on_does_not_hide_the_first_mistake() -> None:
    assert refused(parse_chat, b'{"model": 5, "messages": [{').parameter == "model"
