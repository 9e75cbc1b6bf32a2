"""The body of a request: what it becomes, and what is said of one that is wrong."""

import json
from typing import Any

import pytest

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.text.grammar.choice import ToolChoice
from mlxk2.domain.usecases.prepare_answers import AnswerOptions
from mlxk2.entrypoints.http.anthropic.parse import parse_count, parse_message
from mlxk2.ports.conversation import Message, Tool
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure
from tests.entrypoints.http.anthropic.asking import HELLO, WEATHER, asked, body, complaint

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "schema": SCHEMA}


def test_a_small_request_leaves_everything_else_to_the_model() -> None:
    read = asked()
    question = read.question
    assert (read.reference, read.stream, read.shows_thinking) == ("demo", False, True)
    assert question.messages == (Message("user", "hello"),)
    assert question.options == AnswerOptions(max_tokens=16)
    assert (question.tools, question.choice, question.thinking, question.effort) == ((), ToolChoice(), None, None)


def test_sampling_and_stops_are_taken_as_they_are() -> None:
    options = asked(temperature=0.5, top_p=0.9, top_k=7, stop_sequences=["END", "\n\n"]).question.options
    assert options.sampling == SamplingChoice(0.5, 0.9, 7)
    assert options.stops == ("END", "\n\n")


def test_a_stream_is_asked_for() -> None:
    assert asked(stream=True).stream


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metadata", {"user_id": "me"}),
        ("service_tier", "standard_only"),
        ("speed", "standard"),
        ("cache_control", {"type": "ephemeral", "ttl": "1h"}),
        ("tools", []),
    ],
)
def test_what_means_nothing_here_changes_nothing(name: str, value: object) -> None:
    assert asked(**{name: value}).question == asked().question


@pytest.mark.parametrize(
    "name",
    [
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "temperature",
        "stop_sequences",
        "stream",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "metadata",
    ],
)
def test_null_is_the_same_as_nothing(name: str) -> None:
    assert asked(**{name: None}).question == asked().question


def test_tools_keep_the_text_of_their_schema() -> None:
    tools = asked(tools=[WEATHER, {"name": "f", "input_schema": {"type": "object"}, "strict": True}]).question.tools
    assert tools == (
        Tool("get_weather", "The weather in a city.", json.dumps(WEATHER["input_schema"])),
        Tool("f", "", '{"type": "object"}', strict=True),
    )


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any"}, ToolChoice(required=True)),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(required=True, parallel=False)),
        ({"type": "tool", "name": "get_weather"}, ToolChoice(name="get_weather")),
    ],
)
def test_a_tool_choice_says_whether_a_call_is_made(given: dict[str, Any], choice: ToolChoice) -> None:
    question = asked(tools=[WEATHER], tool_choice=given).question
    assert (len(question.tools), question.choice) == (1, choice)


def test_no_tool_is_offered_where_none_may_be_called() -> None:
    question = asked(tools=[WEATHER], tool_choice={"type": "none"}).question
    assert (question.tools, question.choice) == ((), ToolChoice())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, (True, 1024, True)),
        ({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}, (True, 2000, False)),
        ({"type": "disabled"}, (False, None, True)),
        ({"type": "adaptive"}, (None, None, True)),
        ({"type": "adaptive", "display": "omitted"}, (None, None, False)),
        ({"type": "adaptive", "display": "summarized"}, (None, None, True)),
    ],
)
def test_thinking_is_switched_bounded_and_shown(config: dict[str, Any], expected: tuple[object, ...]) -> None:
    read = asked(max_tokens=4096, thinking=config)
    assert (read.question.thinking, read.question.thinking_budget, read.shows_thinking) == expected


def test_an_effort_is_passed_on() -> None:
    assert asked(output_config={"effort": "high"}).question.effort == "high"


@pytest.mark.parametrize("fields", [{"output_config": {"format": FORMAT}}, {"output_format": FORMAT}])
def test_an_output_format_holds_the_answer_to_a_schema(fields: dict[str, Any]) -> None:
    assert asked(**fields).question.options.structure == Structure("json_schema", json.dumps(SCHEMA))


def test_counting_asks_for_the_same_prompt() -> None:
    fields = {"model": "demo", "messages": [HELLO], "system": "Be brief.", "tools": [WEATHER]}
    reference, question = parse_count(json.dumps(fields).encode())
    whole = parse_message(body(**fields)).question
    assert reference == "demo"
    assert (question.messages, question.tools) == (whole.messages, whole.tools)


def test_counting_takes_no_other_fields() -> None:
    with pytest.raises(ValidationError, match=r"^max_tokens: Extra inputs are not permitted$"):
        parse_count(body())


def test_calls_are_named_with_nine_letters_and_digits_that_differ() -> None:
    question = asked(tools=[WEATHER]).question
    names = [question.call_id(0) for _ in range(100)]
    assert len(set(names)) == 100
    assert all(len(name) == 9 and name.isalnum() and name.isascii() for name in names)


SERVER_TOOL = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
LATE_TYPE = {"name": "web_search", "max_uses": 5, "type": "web_search_20250305"}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": "hello"}, "messages: Input should be a valid list"),
    ({"messages": ["hello"]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be a valid string or list"),
    ({"messages": [{**HELLO, "name": "me"}]}, "messages.0.name: Extra inputs are not permitted"),
    ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
    ({"max_tokens": "16"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ({"temperature": "warm"}, "temperature: Input should be a valid number"),
    ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"stop_sequences": "END"}, "stop_sequences: Input should be a valid list"),
    ({"stop_sequences": [5]}, "stop_sequences.0: Input should be a valid string"),
    ({"model": ""}, "model: it must not be empty"),
    ({"metadata": {"name": "me"}}, "metadata.name: Extra inputs are not permitted"),
    ({"service_tier": "gold"}, "service_tier: 'gold' is not known to this server; use auto or standard_only"),
    ({"speed": "fast"}, "speed: this server has one speed; leave it out"),
    ({"container": "c"}, "container: this server does not offer it; leave it out"),
    ({"mcp_servers": []}, "mcp_servers: this server connects to no other; offer their functions as tools"),
    ({"context_management": {"edits": []}}, "context_management: this server does not edit conversations"),
    ({"inference_geo": "us"}, "inference_geo: this server runs where it is"),
    ({"diagnostics": {"previous_message_id": None}}, "diagnostics: this server does not offer it"),
    ({"tools": [SERVER_TOOL]}, "tools.0.type: 'web_search_20250305' is a tool of Anthropic's"),
    ({"tools": [WEATHER, LATE_TYPE]}, "tools.1.type: 'web_search_20250305' is a tool of Anthropic's"),
    ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
    ({"tools": [{**WEATHER, "colour": 1}]}, "tools.0.colour: Extra inputs are not permitted"),
    ({"tools": [{**WEATHER, "input_schema": []}]}, "tools.0.input_schema: Input should be a valid dictionary"),
    ({"tools": [{**WEATHER, "input_schema": {}}]}, "tools.0.input_schema.type: Field required"),
    (
        {"tools": [{**WEATHER, "input_schema": {"type": "array"}}]},
        "tools.0.input_schema.type: Input should be 'object'",
    ),
    ({"tools": [{**WEATHER, "name": "a b"}]}, "tools.0.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
    ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools.0.defer_loading: this server has no tool search"),
    ({"tools": [{**WEATHER, "input_examples": [{}]}]}, "tools.0.input_examples: this server does not show them"),
    ({"tools": [{**WEATHER, "allowed_callers": ["x"]}]}, "tools.0.allowed_callers.0: 'x' is not known to this server"),
    ({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "any"}}, "tool_choice: tool_choice may only be specified while providing tools"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
    (
        {"tools": [WEATHER], "tool_choice": {"type": "best"}},
        "tool_choice.type: 'best' is not known to this server; use auto, any, tool or none",
    ),
    ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens: Field required"),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 512}},
        "thinking.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000},
        "thinking.budget_tokens: `max_tokens` (2000) must be greater than `thinking.budget_tokens`",
    ),
    ({"thinking": {"type": "between_tools"}}, "thinking.type: 'between_tools' is not known to this server"),
    (
        {"output_config": {"effort": "max"}},
        "output_config.effort: 'max' is not known to this server; use low, medium, high or xhigh",
    ),
    ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type: 'text' is not known to this server"),
    (
        {"output_config": {"format": FORMAT}, "output_format": FORMAT},
        "output_format: output_config.format says the same",
    ),
    ({"system": [{"type": "text", "text": ""}]}, "system.0.text: text content blocks must be non-empty"),
    ({"system": [{"type": "image", "source": {}}]}, "system.0.type: 'image' blocks cannot be read"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG)
def test_what_is_wrong_is_named_as_the_api_names_it(fields: dict[str, Any], told: str) -> None:
    assert complaint(**fields).startswith(told)


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
def test_what_is_missing_is_named(missing: str) -> None:
    fields = {name: value for name, value in json.loads(body()).items() if name != missing}
    with pytest.raises(ValidationError, match=f"^{missing}: Field required$"):
        parse_message(json.dumps(fields).encode())


@pytest.mark.parametrize("text", [b"", b"{", b"nonsense", b'{"model": "\\ud800"}', b'{"model": "\xff"}'])
def test_what_is_no_json_is_told_so(text: bytes) -> None:
    with pytest.raises(ValidationError, match=r"^The request body is not valid JSON"):
        parse_message(text)


def test_a_body_that_is_no_object_is_told_so() -> None:
    with pytest.raises(ValidationError, match=r"^Input should be a valid dictionary$"):
        parse_message(b"[]")


@pytest.mark.parametrize("rest", [b'"prompt": Infinity}]}', b'"name": 5}]} trailing', b'"name": 5'])
def test_the_first_thing_that_is_wrong_is_told_also_where_the_rest_is_no_json(rest: bytes) -> None:
    with pytest.raises(ValidationError, match=r"^(tools\.0|The request body is not valid JSON)"):
        parse_message(b'{"model": "m", "max_tokens": 1, "tools": [{"input_schema": {}, ' + rest)
