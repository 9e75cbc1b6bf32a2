"""Anthropic's own client, unchanged but for its base URL, against a server on the demo model."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.e2e.serving import DEMO, PATIENCE, RunningServer, eventually, running_server

HELLO: Any = [{"role": "user", "content": "hello"}]
LISBON: Any = [{"role": "user", "content": "What is the weather in Lisbon?"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ALARM: Any = {
    "name": "set_alarm",
    "description": "Rings at that time",
    "input_schema": {
        "type": "object",
        "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23}, "loud": {"type": "boolean"}},
        "required": ["hour", "loud"],
        "additionalProperties": False,
    },
}
SUM: Any = [{"role": "user", "content": "what is 2 + 3?"}]
ENABLED: Any = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(demo_cache, "--model", "demo") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=PATIENCE) as client:
        yield client


@asynccontextmanager
async def asynchronous(server: RunningServer) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0, timeout=PATIENCE) as client:
        yield client


def ask(client: Anthropic, messages: Any = HELLO, max_tokens: int = 200, **more: Any) -> Any:
    return client.messages.create(model="demo", max_tokens=max_tokens, messages=messages, **more)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_message_is_answered_with_true_numbers(client: Anthropic) -> None:
    message = ask(client)
    assert (message.type, message.role, message.model, message.stop_reason) == (
        "message",
        "assistant",
        DEMO,
        "end_turn",
    )
    assert "demo model" in text_of(message)
    assert message.usage.output_tokens > 5
    cut = ask(client, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)


def test_a_stream_says_what_the_whole_message_says(client: Anthropic) -> None:
    with client.messages.stream(model="demo", max_tokens=200, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    whole = ask(client)
    assert len(pieces) > 3
    assert "".join(pieces) == text_of(final) == text_of(whole)
    assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)


def test_the_events_of_a_stream_come_in_the_order_that_the_api_has(client: Anthropic) -> None:
    kinds = [event.type for event in ask(client, stream=True) if event.type != "ping"]
    inner = set(kinds[2:-3])
    assert (kinds[:2], kinds[-3:]) == (
        ["message_start", "content_block_start"],
        ["content_block_stop", "message_delta", "message_stop"],
    )
    assert inner == {"content_block_delta"}


def test_a_limit_beyond_the_context_is_taken_and_the_message_ends_with_the_context(client: Anthropic) -> None:
    long = [{"role": "user", "content": "hello " * 500}]
    message = ask(client, long, max_tokens=8192, output_config=_endless())
    assert message.stop_reason == "model_context_window_exceeded"
    assert _prompt(message.usage) + message.usage.output_tokens == 2048


def test_a_system_prompt_counts_as_part_of_the_prompt(client: Anthropic) -> None:
    blocks = [{"type": "text", "text": "You are brief.", "cache_control": {"type": "ephemeral"}}]
    plain, brief = ask(client).usage, ask(client, system="You are brief.").usage
    assert _prompt(brief) > _prompt(plain)
    assert _prompt(ask(client, system=blocks).usage) == _prompt(brief)


def _prompt(usage: Any) -> int:
    tokens: int = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    return tokens


def test_the_tokens_of_a_prompt_are_counted_as_an_answer_will_report_them(client: Anthropic) -> None:
    asked: Any = {"messages": LISBON, "tools": [WEATHER], "system": "You are brief."}
    counted = client.messages.count_tokens(model="demo", **asked)
    assert counted.input_tokens == _prompt(ask(client, **asked).usage)


def test_a_stop_sequence_ends_the_message_and_is_named(client: Anthropic) -> None:
    text = text_of(ask(client))
    stop = text[10:14]
    message = ask(client, stop_sequences=["never said", stop])
    assert text_of(message) == text[: text.index(stop)]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", stop)


def test_a_tool_is_used_and_its_result_is_read(client: Anthropic) -> None:
    first = ask(client, LISBON, tools=[WEATHER, ALARM])
    (use,) = [block for block in first.content if block.type == "tool_use"]
    assert (first.stop_reason, use.name, use.input) == ("tool_use", "get_weather", {"city": "Lisbon"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": '{"temperature": 21, "sky": "clear"}'}
    history = [*LISBON, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(client, history, tools=[WEATHER, ALARM])
    assert second.stop_reason == "end_turn"
    assert text_of(second)


def test_a_streamed_use_of_a_tool_is_gathered_by_the_client(client: Anthropic) -> None:
    with client.messages.stream(model="demo", max_tokens=200, messages=LISBON, tools=[WEATHER]) as stream:
        written = "".join(event.partial_json for event in stream if event.type == "input_json")
        final: Any = stream.get_final_message()
    (use,) = [block for block in final.content if block.type == "tool_use"]
    assert json.loads(written) == use.input == {"city": "Lisbon"}
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "set_alarm"}])
def test_a_tool_that_must_be_used_is_used(client: Anthropic, choice: Any) -> None:
    choice = {**choice, "disable_parallel_tool_use": True}
    message = ask(client, tools=[ALARM], tool_choice=choice, extra_body={"temperature": 1.0})
    (use,) = [block for block in message.content if block.type == "tool_use"]
    assert (use.name, set(use.input)) == ("set_alarm", {"hour", "loud"})
    assert 0 <= use.input["hour"] <= 23


def test_no_tool_is_used_when_none_may_be(client: Anthropic) -> None:
    message = ask(client, LISBON, tools=[WEATHER], tool_choice={"type": "none"})
    assert {block.type for block in message.content} == {"text"}


def test_thinking_comes_in_a_block_of_its_own_streamed_or_not(client: Anthropic) -> None:
    message = ask(client, SUM, max_tokens=1100, thinking=ENABLED)
    thinking, text = message.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.thinking
    assert thinking.signature
    assert "5" in text.text
    with client.messages.stream(model="demo", max_tokens=1100, messages=SUM, thinking=ENABLED) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert {"thinking", "text"} <= kinds
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in message.content]


def test_thinking_goes_back_with_the_conversation(client: Anthropic) -> None:
    first = ask(client, SUM, max_tokens=1100, thinking=ENABLED)
    history = [*SUM, {"role": "assistant", "content": first.content}, {"role": "user", "content": "what is 1 + 1?"}]
    assert text_of(ask(client, history, max_tokens=1100, thinking=ENABLED))


def test_an_answer_is_held_to_a_schema(client: Anthropic) -> None:
    schema = {"type": "object", "properties": {"sky": {"enum": ["clear", "grey"]}}, "required": ["sky"]}
    form = {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}}
    assert json.loads(text_of(ask(client, output_config=form)))["sky"] in ("clear", "grey")


def test_an_unknown_model_is_not_found(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="demmo", max_tokens=5, messages=HELLO)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert DEMO in body["error"]["message"]
    assert body["request_id"] == caught.value.request_id == caught.value.response.headers["request-id"]


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"extra_body": {"temperature": 3}}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking"),
        ({"extra_body": {"tempereture": 1}}, "tempereture"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "fly"}}, "tool_choice"),
    ],
)
def test_a_wrong_parameter_is_named_in_the_message(client: Anthropic, wrong: Any, place: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, **wrong)
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"
    assert place in body["error"]["message"]


def test_a_prompt_beyond_the_context_is_told_in_the_words_that_clients_look_for(client: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client, [{"role": "user", "content": "hello " * 5000}])
    assert "prompt is too long" in caught.value.message


def test_a_stream_that_cannot_begin_is_a_typed_error(client: Anthropic) -> None:
    with (
        pytest.raises(anthropic.NotFoundError),
        client.messages.stream(model="nothing/here", max_tokens=5, messages=HELLO) as stream,
    ):
        stream.get_final_message()


def test_an_answer_can_be_found_again_in_the_servers_log(server: RunningServer, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model="demo", max_tokens=5, messages=HELLO)
    assert raw.headers["request-id"] == raw.headers["x-request-id"] == raw.parse()._request_id
    assert eventually(lambda: f" {raw.headers['request-id']} " in server.log())


def test_a_client_that_has_no_patience_frees_the_model(server: RunningServer, client: Anthropic) -> None:
    hurried = client.with_options(timeout=0.2)
    with pytest.raises(anthropic.APITimeoutError):
        ask(hurried, max_tokens=1900, output_config=_endless())
    assert eventually(lambda: server.number("requests_running") == server.number("requests_waiting") == 0)
    assert text_of(ask(client))


def _endless() -> Any:
    """A form that an answer fills for as long as it may."""
    letters = {"type": "array", "items": {"enum": ["a"]}, "minItems": 3000}
    schema = {"type": "object", "properties": {"a": letters}, "required": ["a"], "additionalProperties": False}
    return {"format": {"type": "json_schema", "schema": schema}}


def test_a_stream_that_is_left_early_frees_the_model(server: RunningServer, client: Anthropic) -> None:
    generated = server.number("generated_tokens_total")
    asked: Any = {"messages": HELLO, "output_config": _endless()}
    with client.messages.stream(model="demo", max_tokens=1900, **asked) as stream:
        next(iter(stream.text_stream))
    assert eventually(lambda: server.number("requests_running") == 0)
    assert server.number("generated_tokens_total") - generated < 1900
    assert text_of(ask(client))


def test_the_asynchronous_client_streams_many_messages_at_once(server: RunningServer, client: Anthropic) -> None:
    async def streamed(client: AsyncAnthropic) -> str:
        async with client.messages.stream(model="demo", max_tokens=200, messages=HELLO) as stream:
            return "".join([piece async for piece in stream.text_stream])

    async def all_at_once() -> list[str]:
        async with asynchronous(server) as client:
            return await asyncio.gather(*(streamed(client) for _ in range(8)))

    assert asyncio.run(all_at_once()) == [text_of(ask(client))] * 8


def test_the_asynchronous_client_uses_tools_and_counts(server: RunningServer) -> None:
    async def several() -> tuple[Any, Any]:
        async with asynchronous(server) as client:
            return await asyncio.gather(
                client.messages.create(model="demo", max_tokens=200, messages=LISBON, tools=[WEATHER]),
                client.messages.count_tokens(model="demo", messages=LISBON, tools=[WEATHER]),
            )

    message, counted = asyncio.run(several())
    assert message.stop_reason == "tool_use"
    assert counted.input_tokens == _prompt(message.usage)


def test_keys_are_asked_for_where_they_are_set(demo_cache: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-right\n")
    keys.chmod(0o600)
    with running_server(demo_cache, "--api-key-file", str(keys)) as server:
        with Anthropic(base_url=server.url, api_key="sk-wrong", max_retries=0) as wrong:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                ask(wrong)
            assert "sk-wrong" not in caught.value.message
        with Anthropic(base_url=server.url, api_key="sk-right", max_retries=0, timeout=PATIENCE) as right:
            assert text_of(ask(right))
