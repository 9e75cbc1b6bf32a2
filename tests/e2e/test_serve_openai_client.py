"""OpenAI's own client, unchanged but for its base URL, against a server on the demo model: what is answered."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.e2e.openai_client import ALARM, HELLO, LISBON, WEATHER, Sky, asynchronous, connected, said
from tests.e2e.serving import DEMO, NEVER_ENDS, RunningServer, running_server


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(demo_cache, "--model", "demo") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with connected(server) as client:
        yield client


def test_the_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.owned_by) == (DEMO, "mlxk2")
    assert client.models.retrieve(DEMO) == client.models.retrieve("demo") == model
    extra: Any = model.model_extra
    assert extra["context_length"] == 2048
    assert "chat" in extra["capabilities"]


def test_a_chat_is_answered_with_true_numbers(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=HELLO)
    (choice,) = answer.choices
    assert (answer.object, answer.model, choice.finish_reason) == ("chat.completion", DEMO, "stop")
    assert choice.message.role == "assistant"
    assert "demo model" in (choice.message.content or "")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    cut = client.chat.completions.create(model="demo", messages=HELLO, max_completion_tokens=3)
    assert cut.usage is not None
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 3)


def test_a_limit_beyond_the_context_is_taken_and_the_answer_ends_with_the_context(client: OpenAI) -> None:
    long: Any = [{"role": "user", "content": "hello " * 500}]
    answer = client.chat.completions.create(
        model="demo", messages=long, max_completion_tokens=100_000, logit_bias=NEVER_ENDS
    )
    assert answer.usage is not None
    assert (answer.choices[0].finish_reason, answer.usage.total_tokens) == ("length", 2048)


def test_every_role_and_kind_of_content_is_taken(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=[
            {"role": "developer", "content": "You are brief."},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "How do I list my models?"},
        ],
    )
    assert "mlxk2 list" in (answer.choices[0].message.content or "")


def test_a_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said(client)
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert len({chunk.id for chunk in chunks} | {last.id}) == 1
    assert len(chunks) > 3
    assert (last.choices, all(chunk.usage is None for chunk in chunks)) == ([], True)
    whole = client.chat.completions.create(model="demo", messages=HELLO)
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_the_clients_stream_helper_gathers_the_whole_answer(client: OpenAI) -> None:
    with client.chat.completions.stream(model="demo", messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == said(client)


def test_three_answers_to_one_question_are_told_apart(client: OpenAI) -> None:
    asked: Any = {"model": "demo", "messages": HELLO, "n": 3, "temperature": 2.0, "seed": 5, "max_tokens": 20}
    whole = client.chat.completions.create(**asked)
    texts = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    pieces = ["", "", ""]
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            pieces[choice.index] += choice.delta.content or ""
    assert pieces == texts


def test_a_stop_string_ends_the_answer_and_is_not_told(client: OpenAI) -> None:
    text = said(client)
    stop = text[10:14]
    answer = client.chat.completions.create(model="demo", messages=HELLO, stop=[stop, "never said"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (text[: text.index(stop)], "stop")


def test_a_seed_makes_a_wild_answer_reproducible(client: OpenAI) -> None:
    texts = [said(client, "Tell me", temperature=2.0, max_tokens=20, seed=seed) for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_log_probabilities_come_for_every_token_streamed_or_not(client: OpenAI) -> None:
    asked: Any = {"model": "demo", "messages": HELLO, "logprobs": True, "top_logprobs": 2}
    (choice,) = client.chat.completions.create(**asked).choices
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    spelled = b"".join(bytes(token.bytes or []) for token in tokens).decode()
    assert spelled.startswith(choice.message.content or "?")
    for token in tokens:
        assert len(token.top_logprobs) == 2
        assert token.logprob == token.top_logprobs[0].logprob <= 0
    streamed = [
        token
        for chunk in client.chat.completions.create(**asked, stream=True)
        for piece in chunk.choices
        if piece.logprobs
        for token in piece.logprobs.content or []
    ]
    assert [token.token for token in streamed] == [token.token for token in tokens]


def test_a_bias_keeps_the_answer_from_ending(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=HELLO, logit_bias=NEVER_ENDS, max_tokens=60)
    assert answer.usage is not None
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 60)


def test_a_tool_is_called_and_its_result_is_used(client: OpenAI) -> None:
    first = client.chat.completions.create(model="demo", messages=LISBON, tools=[WEATHER, ALARM])
    (choice,) = first.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Lisbon"})
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 21, "sky": "clear"}'}
    history: Any = [*LISBON, choice.message, result]
    second = client.chat.completions.create(model="demo", messages=history, tools=[WEATHER, ALARM])
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.tool_calls is None
    assert second.choices[0].message.content


def test_a_streamed_call_says_what_the_whole_one_says(client: OpenAI) -> None:
    with client.chat.completions.stream(model="demo", messages=LISBON, tools=[WEATHER]) as stream:
        names = [event.name for event in stream if event.type == "tool_calls.function.arguments.done"]
        (choice,) = stream.get_final_completion().choices
    assert (names, choice.finish_reason) == (["get_weather"], "tool_calls")
    (call,) = choice.message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Lisbon"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "set_alarm"}}])
def test_a_call_that_must_be_made_is_made(client: OpenAI, choice: Any) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=HELLO,
        tools=[ALARM],
        tool_choice=choice,
        parallel_tool_calls=False,
        temperature=1.5,
        seed=4,
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    arguments = json.loads(call.function.arguments)
    assert (call.function.name, set(arguments)) == ("set_alarm", {"hour", "loud"})
    assert 0 <= arguments["hour"] <= 23


def test_no_tool_is_called_when_none_may_be(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=LISBON, tools=[WEATHER], tool_choice="none")
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


def test_an_answer_is_parsed_into_the_clients_own_class(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="demo", messages=HELLO, response_format=Sky, max_tokens=300)
    assert isinstance(answer.choices[0].message.parsed, Sky)


def test_a_json_object_is_one(client: OpenAI) -> None:
    """So small a model seldom ends a text of its own accord, and what is cut off is no object."""
    asked: Any = {"response_format": {"type": "json_object"}, "temperature": 1.0, "seed": 0, "n": 16, "max_tokens": 60}
    choices = client.chat.completions.create(model="demo", messages=HELLO, **asked).choices
    objects = [json.loads(choice.message.content or "") for choice in choices if choice.finish_reason == "stop"]
    assert objects
    assert all(isinstance(value, dict) for value in objects)


def test_thinking_can_be_asked_for_and_comes_apart_from_the_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "what is 2 + 3?"}], reasoning_effort="medium"
    )
    message: Any = answer.choices[0].message
    assert message.reasoning_content == message.reasoning != ""
    assert "<think>" not in message.content
    assert "5" in message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) > 0


def test_a_text_is_continued_whole_in_pieces_and_from_token_ids(client: OpenAI) -> None:
    asked: Any = {"model": "demo", "max_tokens": 12}
    whole = client.completions.create(prompt="mlxk2 list shows", **asked).choices[0]
    assert whole.text
    stream = client.completions.create(prompt="mlxk2 list shows", stream=True, **asked)
    pieces = [choice for chunk in stream for choice in chunk.choices]
    assert "".join(piece.text for piece in pieces) == whole.text
    assert pieces[-1].finish_reason == whole.finish_reason
    tokens = client.post("/../tokenize", body={"model": "demo", "prompt": "mlxk2 list shows"}, cast_to=object)
    ids: Any = tokens
    assert client.completions.create(prompt=ids["tokens"], **asked).choices[0].text == whole.text
    both = client.completions.create(prompt=["mlxk2 list shows", "hello"], **asked).choices
    assert [choice.index for choice in both] == [0, 1]
    assert both[0].text == whole.text


def test_a_prompt_is_echoed_before_its_continuation(client: OpenAI) -> None:
    asked: Any = {"model": "demo", "prompt": "mlxk2 list shows", "max_tokens": 5}
    plain = client.completions.create(**asked).choices[0].text
    assert client.completions.create(**asked, echo=True).choices[0].text == f"mlxk2 list shows{plain}"
    stream = client.completions.create(**asked, echo=True, stream=True)
    assert "".join(choice.text for chunk in stream for choice in chunk.choices) == f"mlxk2 list shows{plain}"


def test_a_texts_log_probabilities_are_as_long_as_the_answer(client: OpenAI) -> None:
    answer = client.completions.create(model="demo", prompt="Use `mlxk2", max_tokens=5, logprobs=3)
    assert answer.usage is not None
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.top_logprobs is not None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    assert len(logprobs.tokens) == answer.usage.completion_tokens > 1
    assert all(len(top) == 3 for top in logprobs.top_logprobs)


def test_the_asynchronous_client_streams_many_answers_at_once(server: RunningServer, client: OpenAI) -> None:
    async def streamed(ask: AsyncOpenAI) -> str:
        stream = await ask.chat.completions.create(model="demo", messages=HELLO, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_at_once() -> list[str]:
        async with asynchronous(server) as ask:
            return await asyncio.gather(*(streamed(ask) for _ in range(8)))

    assert asyncio.run(all_at_once()) == [said(client)] * 8


def test_the_asynchronous_client_parses_calls_tools_and_lists(server: RunningServer) -> None:
    async def several() -> tuple[Any, Any, Any]:
        async with asynchronous(server) as ask:
            return await asyncio.gather(
                ask.chat.completions.parse(model="demo", messages=HELLO, response_format=Sky, max_tokens=300),
                ask.chat.completions.create(model="demo", messages=LISBON, tools=[WEATHER]),
                ask.models.retrieve(DEMO),
            )

    parsed, called, model = asyncio.run(several())
    assert isinstance(parsed.choices[0].message.parsed, Sky)
    assert called.choices[0].finish_reason == "tool_calls"
    assert model.id == DEMO
