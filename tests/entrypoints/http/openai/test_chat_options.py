"""What a chat request asks for reaches the engine, by the engine's own rules."""

from typing import Any

import pytest

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.text.grammar.choice import ToolChoice
from mlxk2.ports.conversation import Tool
from mlxk2.ports.generation import Structure
from tests.entrypoints.http.openai.asking import SCHEMA, chat, chat_refused, function

SCHEMA_TEXT = '{"type":"object","properties":{"city": {"type": "string"}},"required":["city"]}'


def options(**fields: Any) -> Any:
    return chat(**fields).question.options


def test_all_sampling_options_are_passed_on() -> None:
    asked = options(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        repetition_penalty=1.1,
        presence_penalty=1,
        frequency_penalty=-1,
        seed=7,
        logit_bias={"12": -100, "0": 1.5},
    )
    assert asked.sampling == SamplingChoice(0.5, 0.9, 40, 0.1, 1.1, 7, 1.0, -1.0, ((12, -100.0), (0, 1.5)))


def test_what_is_not_said_is_left_to_the_model() -> None:
    asked = options()
    assert asked.sampling == SamplingChoice()
    assert (asked.max_tokens, asked.stops, asked.logprobs, asked.structure, asked.answers) == (None, (), None, None, 1)


def test_a_nucleus_of_nothing_is_the_most_probable_token() -> None:
    sampling = options(top_p=0, top_k=50).sampling
    assert (sampling.top_p, sampling.top_k) == (None, 1)


def test_a_negative_seed_is_a_seed() -> None:
    assert options(seed=-1).sampling.seed == 2**64 - 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_has_two_names(name: str) -> None:
    assert options(**{name: 5}).max_tokens == 5


@pytest.mark.parametrize(("stop", "stops"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ()), (None, ())])
def test_stops_are_one_text_or_several(stop: Any, stops: tuple[str, ...]) -> None:
    assert options(stop=stop).stops == stops


@pytest.mark.parametrize(("fields", "logprobs"), [({}, 0), ({"top_logprobs": 0}, 0), ({"top_logprobs": 20}, 20)])
def test_log_probabilities_come_with_as_many_others_as_asked(fields: dict[str, Any], logprobs: int) -> None:
    asked = chat(logprobs=True, **fields)
    assert (asked.question.options.logprobs, asked.manner.logprobs) == (logprobs, True)


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 0.00001}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 33}, "n"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a"] * 65}, "stop"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"logprobs": False, "top_logprobs": 1}, "top_logprobs"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"logit_bias": {"01": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"²": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5000: 1}}, "logit_bias"),
        ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": False, "stream_options": {}}, "stream_options"),
    ],
)
def test_what_is_out_of_range_is_named(fields: dict[str, Any], parameter: str) -> None:
    assert chat_refused(**fields).parameter == parameter


@pytest.mark.parametrize(
    ("form", "structure"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, Structure("json_schema", '{"type": "object"}')),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
            Structure("json_schema", SCHEMA_TEXT),
        ),
        ({"type": "regex", "pattern": "[0-9]+"}, Structure("regex", "[0-9]+")),
        ({"type": "grammar", "grammar": 'start: "a"'}, Structure("lark", 'start: "a"')),
    ],
)
def test_a_response_format_is_a_structure(form: dict[str, Any], structure: Structure | None) -> None:
    assert options(response_format=form).structure == structure


@pytest.mark.parametrize(
    ("form", "parameter"),
    [
        ({"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "a\n", "schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": True}}, "response_format.json_schema.schema"),
        ({"type": "regex", "pattern": ""}, "response_format.pattern"),
        ({"type": "json_object", "schema": {}}, "response_format.schema"),
    ],
)
def test_a_response_format_that_is_none_is_named(form: dict[str, Any], parameter: str) -> None:
    assert chat_refused(response_format=form).parameter == parameter


def test_thinking_is_switched_by_effort_and_by_the_template_s_own_word() -> None:
    question = chat(reasoning_effort="low", chat_template_kwargs={"enable_thinking": True}).question
    assert (question.effort, question.thinking) == ("low", True)


def test_tools_are_read_whole() -> None:
    question = chat(
        tools=[function(description="d", strict=True), {"type": "function", "function": {"name": "f"}}]
    ).question
    assert question.tools == (Tool("get_weather", "d", SCHEMA_TEXT, strict=True), Tool("f"))
    assert question.choice == ToolChoice()


@pytest.mark.parametrize(
    ("fields", "names", "choice"),
    [
        ({"tool_choice": "auto"}, ["a", "b"], ToolChoice()),
        ({"tool_choice": "none"}, [], ToolChoice()),
        ({"tool_choice": "required"}, ["a", "b"], ToolChoice(required=True)),
        ({"parallel_tool_calls": False}, ["a", "b"], ToolChoice(parallel=False)),
        ({"tool_choice": {"type": "function", "function": {"name": "b"}}}, ["a", "b"], ToolChoice(name="b")),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]},
                }
            },
            ["b"],
            ToolChoice(required=True),
        ),
    ],
)
def test_the_choice_of_tools(fields: dict[str, Any], names: list[str], choice: ToolChoice) -> None:
    question = chat(tools=[function("a"), function("b")], **fields).question
    assert ([tool.name for tool in question.tools], question.choice) == (names, choice)


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"tools": [function("a"), function("a")]}, "tools[1].function.name"),
        ({"tools": [function("a b")]}, "tools[0].function.name"),
        ({"tools": [function("a" * 65)]}, "tools[0].function.name"),
        ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "x"}}]},
                }
            },
            "tool_choice.allowed_tools.tools[0].function.name",
        ),
    ],
)
def test_tools_that_cannot_be_are_named(fields: dict[str, Any], parameter: str) -> None:
    assert chat_refused(**fields).parameter == parameter


def test_ids_of_calls_suit_mistral_s_templates() -> None:
    ids = {chat().question.call_id(0) for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in ids)
