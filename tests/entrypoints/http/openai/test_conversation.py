"""Messages as OpenAI's clients send them become what is said to the model."""

from typing import Any

import pytest

from mlxk2.ports.conversation import Message, ToolCall
from tests.entrypoints.http.openai.asking import HELLO, called, chat, chat_refused


def messages(*said: dict[str, Any]) -> tuple[Message, ...]:
    return chat(messages=said).question.messages


def assistant(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", **fields}


def result(call_id: str = "abcdefghi", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "sunny", **fields}


def test_each_role_has_its_place() -> None:
    said = (
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        HELLO,
        assistant(content="a"),
    )
    assert [(one.role, one.content) for one in messages(*said)] == [
        ("system", "s"),
        ("system", "d"),
        ("user", "hello"),
        ("assistant", "a"),
    ]


def test_text_parts_are_put_together_as_they_are() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    assert messages({"role": "user", "content": parts})[0].content == "a b"


def test_calls_and_their_results_are_kept_together() -> None:
    said = messages(HELLO, assistant(content=None, tool_calls=[called()]), result(name="get_weather"))
    assert said[1] == Message("assistant", "", tool_calls=(ToolCall("get_weather", '{"city": "Ulm"}', "abcdefghi"),))
    assert said[2] == Message("tool", "sunny", tool_call_id="abcdefghi")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_comes_back_to_the_template(name: str) -> None:
    assert messages(HELLO, assistant(content="a", **{name: "hm"}))[1].reasoning == "hm"


def test_an_answer_of_this_server_can_be_sent_back_as_it_came() -> None:
    came = assistant(
        content="a",
        refusal=None,
        annotations=[],
        audio=None,
        function_call=None,
        tool_calls=None,
        reasoning="hm",
        reasoning_content="hm",
    )
    assert messages(came)[0] == Message("assistant", "a", "hm")


@pytest.mark.parametrize(
    "fields",
    [{"refusal": "no"}, {"content": None, "refusal": "no"}, {"content": [{"type": "refusal", "refusal": "no"}]}],
)
def test_a_refusal_is_what_the_assistant_said(fields: dict[str, Any]) -> None:
    assert messages(assistant(**fields))[0].content == "no"


@pytest.mark.parametrize(
    ("said", "parameter"),
    [
        ([], "messages"),
        ([{"role": "user", "content": []}], "messages[0].content"),
        ([assistant(content=None)], "messages[0].content"),
        ([assistant(content=None, tool_calls=[])], "messages[0].content"),
        ([assistant(content="a", refusal="b")], "messages[0].refusal"),
        ([assistant(content="a", reasoning="b", reasoning_content="c")], "messages[0].reasoning"),
        ([HELLO, result()], "messages[1].tool_call_id"),
        ([assistant(tool_calls=[called()]), result("another")], "messages[1].tool_call_id"),
        ([assistant(tool_calls=[called()]), result(), result()], "messages[2].tool_call_id"),
        ([assistant(tool_calls=[called()]), result(name="other")], "messages[1].name"),
        ([assistant(tool_calls=[called(call_id="")])], "messages[0].tool_calls[0].id"),
        ([assistant(content="a", annotations=[{"type": "url_citation"}])], "messages[0].annotations"),
    ],
)
def test_a_conversation_that_cannot_be_is_refused(said: list[dict[str, Any]], parameter: str) -> None:
    assert chat_refused(messages=said).parameter == parameter
