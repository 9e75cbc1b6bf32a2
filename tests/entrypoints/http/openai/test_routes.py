"""OpenAI's paths, asked by the unmodified client: everything but the network and a real model."""

from typing import Any

import openai
import pydantic
import pytest

from mlxk2.entrypoints.http.openai import OPERATIONS, routes
from mlxk2.testing.models import DEFAULT_NAME
from tests.entrypoints.http.openai.asking import HELLO
from tests.entrypoints.http.openai.serving import CONTEXT, asking, fields

TOOL: Any = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


class Answer(pydantic.BaseModel):
    a: int


def test_a_chat_is_answered() -> None:
    whole = asking(lambda client: client.chat.completions.create(**fields()))
    (choice,) = whole.choices
    assert (choice.message.content, choice.finish_reason, whole.model) == (
        "You said: user: hello",
        "stop",
        DEFAULT_NAME,
    )
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == len("user: hello\n")
    assert whole.usage.completion_tokens == len("You said: user: hello") + 1


def test_a_chat_streams() -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[Any]:
        options = {"include_usage": True}
        stream = await client.chat.completions.create(**fields(stop="hello", stream=True, stream_options=options))
        return [chunk async for chunk in stream]

    first, *chunks, end, usage = asking(ask)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "You said: user: "
    assert end.choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage.completion_tokens) == ([], len("You said: user: hello"))


def test_the_client_s_own_stream_ends_with_the_whole_answer() -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        async with client.chat.completions.stream(**fields(tools=[TOOL], tool_choice="required")) as stream:
            return await stream.get_final_completion()

    (choice,) = asking(ask).choices
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name, call.function.arguments) == ("tool_calls", "f", '{"a": 1}')
    assert len(call.id) == 9


def test_results_of_calls_go_back_to_the_model() -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        first = await client.chat.completions.create(**fields(tools=[TOOL], tool_choice="required"))
        message = first.choices[0].message
        assert message.tool_calls
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "42"}
        said = [HELLO, message.model_dump(), result]
        return await client.chat.completions.create(**fields(messages=said))

    assert asking(ask).choices[0].message.content == "You said: tool: 42"


def test_thinking_has_both_names() -> None:
    body = {"chat_template_kwargs": {"enable_thinking": True}}
    message: Any = asking(lambda client: client.chat.completions.create(**fields(), extra_body=body)).choices[0].message
    assert (message.reasoning_content, message.reasoning, message.content) == ("hm", "hm", "You said: that")


def test_an_answer_is_parsed_into_a_model() -> None:
    parsed = asking(lambda client: client.chat.completions.parse(**fields(), response_format=Answer))
    assert parsed.choices[0].message.parsed == Answer(a=1)


def test_several_answers_have_log_probabilities() -> None:
    whole = asking(lambda client: client.chat.completions.create(**fields(n=2, logprobs=True, top_logprobs=2)))
    assert [choice.index for choice in whole.choices] == [0, 1]
    for choice in whole.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(one.token for one in choice.logprobs.content) == choice.message.content
        assert {len(one.top_logprobs) for one in choice.logprobs.content} == {2}


def test_texts_are_continued() -> None:
    whole = asking(
        lambda client: client.completions.create(model=DEFAULT_NAME, prompt=["ab", "c"], n=2, echo=True, max_tokens=50)
    )
    assert [choice.text for choice in whole.choices] == ["abYou said: ab"] * 2 + ["cYou said: c"] * 2
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 3


def test_texts_stream_up_to_sixteen_tokens() -> None:
    async def ask(client: openai.AsyncOpenAI) -> list[Any]:
        stream = await client.completions.create(model=DEFAULT_NAME, prompt=[97, 98, 99, 100, 101, 102], stream=True)
        return [chunk.choices[0] async for chunk in stream]

    *pieces, end = asking(ask)
    assert "".join(piece.text for piece in pieces) == "You said: abcdef"
    assert end.finish_reason == "length"


def test_models_are_listed_and_described() -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        listed = [model async for model in client.models.list()]
        return listed, await client.models.retrieve(DEFAULT_NAME)

    (listed,), described = asking(ask)
    assert (listed.id, listed.object, listed.owned_by) == (DEFAULT_NAME, "model", DEFAULT_NAME.split("/")[0])
    assert (listed.state, described.id) == ("unloaded", DEFAULT_NAME)
    assert isinstance(listed.capabilities, list)


def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        asking(lambda client: client.models.retrieve("org/unknown"))
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_nothing_of_a_model_s_name_is_cut() -> None:
    with pytest.raises(openai.BadRequestError, match="control character") as caught:
        asking(lambda client: client.models.retrieve(f"{DEFAULT_NAME}\n"))
    assert caught.value.param == "model"


def test_text_becomes_tokens_and_text_again() -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        url = "http://127.0.0.1:8000"
        there = await client.post(f"{url}/tokenize", body={"model": DEFAULT_NAME, "prompt": "hé"}, cast_to=object)
        back = await client.post(f"{url}/detokenize", body={"model": DEFAULT_NAME, "tokens": [104]}, cast_to=object)
        return there, back

    assert asking(ask) == ({"tokens": [104, 233], "count": 2, "max_model_len": CONTEXT}, {"prompt": "h"})


def test_a_conversation_becomes_the_tokens_that_an_answer_counts() -> None:
    async def ask(client: openai.AsyncOpenAI) -> Any:
        body = fields(tools=[TOOL], chat_template_kwargs={"enable_thinking": True})
        tokens: Any = await client.post("http://127.0.0.1:8000/tokenize", body=body, cast_to=object)
        kwargs = body.pop("chat_template_kwargs")
        answer = await client.chat.completions.create(**body, extra_body={"chat_template_kwargs": kwargs})
        return tokens["count"], answer.usage

    count, usage = asking(ask)
    assert count == usage.prompt_tokens


@pytest.mark.parametrize(
    ("more", "parameter", "told"),
    [
        ({"max_tokens": 0}, "max_tokens", "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "max_completion_tokens"),
        ({"messages": [{"role": "user", "content": "a" * 7000}]}, "messages", "The prompt has"),
        ({"tool_choice": "required"}, "tool_choice", "there are no tools"),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "response_format", "leave one of them out"),
        ({"logit_bias": {"9999999": 1}}, "logit_bias", "no token"),
        ({"temperature": 99999}, "temperature", "out of range"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_is_an_error_of_the_client_s_own(
    more: dict[str, Any], parameter: str, told: str, *, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        asking(lambda client: client.chat.completions.create(**fields(**more), stream=stream))
    assert caught.value.param == parameter
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        ("tokenize", {"prompt": "a", "messages": [HELLO]}, "prompt"),
        ("tokenize", {}, "prompt"),
        ("tokenize", {"prompt": "a", "tools": []}, "tools"),
        ("tokenize", {"prompt": "a", "add_special_tokens": False}, "add_special_tokens"),
        ("tokenize", {"messages": [HELLO], "add_special_tokens": True}, "add_special_tokens"),
        ("tokenize", {"messages": [HELLO], "add_generation_prompt": False}, "add_generation_prompt"),
        ("tokenize", {"prompt": "a", "return_token_strs": True}, "return_token_strs"),
        (
            "tokenize",
            {"messages": [HELLO], "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
            "reasoning_effort",
        ),
        ("detokenize", {"tokens": [-1]}, "tokens"),
        ("detokenize", {"tokens": [10**40]}, "tokens"),
        ("detokenize", {"tokens": ["a"]}, "tokens[0]"),
    ],
)
def test_what_cannot_become_tokens_is_named(path: str, body: dict[str, Any], parameter: str) -> None:
    url = f"http://127.0.0.1:8000/{path}"
    with pytest.raises(openai.BadRequestError) as caught:
        asking(lambda client: client.post(url, body={"model": DEFAULT_NAME, **body}, cast_to=object))
    assert caught.value.param == parameter


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(openai.NotFoundError, match="unknown"):
        asking(lambda client: client.chat.completions.create(**fields(model="unknown")))


def test_every_path_is_listed_as_an_operation() -> None:
    services: Any = None
    paths = {route.path.replace(":path", "") for route in routes(services)}
    assert {operation.path for operation in OPERATIONS} == paths
