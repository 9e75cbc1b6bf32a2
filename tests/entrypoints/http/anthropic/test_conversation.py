"""Turns of Anthropic's API, and what is said to the model."""

from typing import Any

import pytest

from mlxk2.entrypoints.http.anthropic.signatures import carrying
from mlxk2.ports.conversation import Message, ToolCall
from tests.entrypoints.http.anthropic.asking import HELLO, asked, complaint, tool_result, tool_use

ULM = ToolCall("get_weather", '{"city": "Ulm"}', "abcdefghi")


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(said: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **fields}


def said(*turns: Any, **fields: Any) -> tuple[Message, ...]:
    return asked(messages=list(turns), **fields).question.messages


def test_texts_of_a_turn_stand_apart_by_a_blank_line() -> None:
    assert said(user(text("one"), text("two"))) == (Message("user", "one\n\ntwo"),)


def test_turns_of_one_role_are_one_turn() -> None:
    assert said(HELLO, user(text("there"))) == (Message("user", "hello\n\nthere"),)


@pytest.mark.parametrize("system", ["Be brief.", [text("Be brief.")]])
def test_the_system_prompt_comes_first(system: object) -> None:
    assert said(HELLO, system=system) == (Message("system", "Be brief."), Message("user", "hello"))


def test_a_system_turn_stays_where_it_is() -> None:
    assert said(HELLO, {"role": "system", "content": "Be brief."}) == (
        Message("user", "hello"),
        Message("system", "Be brief."),
    )


def test_marks_for_caching_and_empty_citations_change_nothing() -> None:
    block = text("hello", cache_control={"type": "ephemeral"}, citations=None)
    assert said(user(block)) == said(HELLO)


def test_results_come_before_the_text_beside_them() -> None:
    messages = said(
        HELLO,
        assistant(text("Let me see."), tool_use(), tool_use("toolu_2")),
        user(tool_result("toolu_2", content="rain"), tool_result(), text("And now?")),
    )
    assert messages[1:] == (
        Message("assistant", "Let me see.", None, (ULM, ToolCall("get_weather", '{"city": "Ulm"}', "2"))),
        Message("tool", "rain", tool_call_id="2"),
        Message("tool", "sunny", tool_call_id="abcdefghi"),
        Message("user", "And now?"),
    )


def test_results_may_come_in_turns_of_their_own() -> None:
    calls = assistant(tool_use("a"), tool_use("b"))
    messages = said(HELLO, calls, user(tool_result("a")), user(tool_result("b"), text("And now?")))
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool", "user"]


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"content": [text("sunny"), text("warm")]}, "sunny\n\nwarm"),
        ({"content": None}, ""),
        ({"content": []}, ""),
        ({"content": "no such city", "is_error": True}, "Error: no such city"),
        ({"is_error": False}, "sunny"),
    ],
)
def test_a_result_is_text(fields: dict[str, Any], content: str) -> None:
    messages = said(HELLO, assistant(tool_use()), user(tool_result(**fields)))
    assert messages[-1] == Message("tool", content, tool_call_id="abcdefghi")


def test_a_call_of_the_model_itself_has_a_caller() -> None:
    assert said(HELLO, assistant(tool_use(caller={"type": "direct"})), user(tool_result()))[1].tool_calls == (ULM,)


def test_thinking_comes_back_as_the_reasoning_of_its_turn() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCg"}
    assert said(HELLO, assistant(thought, text("Yes.")), HELLO)[1] == Message("assistant", "Yes.", "Hm.")


def test_thinking_that_was_not_shown_comes_back_in_its_signature() -> None:
    thought = {"type": "thinking", "thinking": "", "signature": carrying("Hm, schön.")}
    assert said(HELLO, assistant(thought, text("Yes.")), HELLO)[1].reasoning == "Hm, schön."


def test_redacted_thinking_is_left_out() -> None:
    thought = {"type": "redacted_thinking", "data": "EqQBCg"}
    assert said(HELLO, assistant(thought, text("Yes.")), HELLO)[1] == Message("assistant", "Yes.")


@pytest.mark.parametrize("content", ["", []])
def test_an_answer_may_have_been_empty(content: object) -> None:
    assert said(HELLO, {"role": "assistant", "content": content}, HELLO)[1] == Message("assistant", "")


CALLED = [HELLO, assistant(tool_use("a"), tool_use("b"))]

WRONG: list[tuple[list[Any], str]] = [
    (
        [HELLO, assistant(text("The answer is"))],
        "messages: the last message is the assistant's, and this server cannot",
    ),
    ([{"role": "user", "content": ""}], "messages.0: user messages must have non-empty content"),
    ([user()], "messages.0: user messages must have non-empty content"),
    ([{"role": "tool", "content": "sunny"}], "messages.0.role: 'tool' is not known to this server"),
    ([user(text(""))], "messages.0.content.0.text: text content blocks must be non-empty"),
    ([user({"type": "image", "source": {}})], "messages.0.content.0.type: 'image' blocks cannot be read"),
    ([user({"type": "document"})], "messages.0.content.0.type: 'document' blocks cannot be read"),
    ([user({"text": "hello"})], "messages.0.content.0.type: Field required"),
    ([user(text("hello", citations=[{}]))], "messages.0.content.0.citations: this server knows no citations"),
    ([user(tool_use())], "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"),
    (
        [user({"type": "thinking", "thinking": "Hm.", "signature": ""})],
        "messages.0.content.0: `thinking` blocks can only be in `assistant` messages",
    ),
    (
        [HELLO, assistant(tool_result()), HELLO],
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
    ),
    ([HELLO, assistant(tool_use(input=[])), HELLO], "messages.1.content.0.input: Input should be a valid dictionary"),
    ([HELLO, assistant(tool_use(toolset_name="x")), HELLO], "messages.1.content.0.toolset_name: this server knows no"),
    (
        [HELLO, assistant(tool_use(caller={"type": "code_execution_20250825", "tool_id": "x"})), HELLO],
        "messages.1.content.0.caller.type: 'code_execution_20250825' is not known to this server",
    ),
    (
        [*CALLED, user(tool_result("a"))],
        "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: b.",
    ),
    ([*CALLED, HELLO], "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: a, b."),
    ([user(tool_result("a"))], "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: a."),
    (
        [*CALLED, user(tool_result("a"), tool_result("b"), tool_result("a"))],
        "messages.2: each `tool_use` must have a single `tool_result` block",
    ),
    (
        [HELLO, assistant(tool_use("a"), tool_use("a")), user(tool_result("a"))],
        "messages: `tool_use` ids must be unique",
    ),
    (
        [*CALLED, user(text("here:"), tool_result("a"), tool_result("b"))],
        "messages.2.content.1: `tool_result` blocks must come before everything else",
    ),
    (
        [*CALLED, user(tool_result("a", content=[{"type": "image"}]))],
        "messages.2.content.0.content.0.type: 'image' blocks cannot be read",
    ),
    (
        [HELLO, assistant({"type": "thinking", "thinking": "", "signature": "unsigned.!"}), HELLO],
        "messages.1.content.0.signature: Invalid `signature` in `thinking` block",
    ),
]


@pytest.mark.parametrize(("turns", "told"), WRONG)
def test_a_conversation_that_cannot_be_is_refused(turns: list[Any], told: str) -> None:
    assert complaint(messages=turns).startswith(told)
