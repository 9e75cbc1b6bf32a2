"""Answers in harmony syntax, as gpt-oss writes them."""

import pytest

from mlxk2.domain.text.reader import Reading
from mlxk2.ports.engine import Markers
from tests.domain.text.reading import TOOLS, read

READING = Reading(Markers(tool_format="harmony"), TOOLS)
ANALYSIS = "<|channel|>analysis<|message|>Hm.<|end|>"
CALL = '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Köln"}'
MADE = ("call", "get_weather", '{"city": "Köln"}', "call_0")
THOUGHT = ("reasoning", "Hm.")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{ANALYSIS}<|start|>assistant<|channel|>final<|message|>Hi.", [THOUGHT, ("text", "Hi.")]),
        (f"{ANALYSIS}<|start|>assistant<|channel|>final<|message|>Hi.<|return|>", [THOUGHT, ("text", "Hi.")]),
        (f"{ANALYSIS}<|start|>assistant{CALL}<|call|>", [THOUGHT, MADE]),
        (f"{ANALYSIS}<|start|>assistant{CALL}", [THOUGHT, MADE]),
        ('to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Köln"}<|call|>', [MADE]),
        (f"<|channel|>commentary<|message|>I look.<|end|><|start|>assistant{CALL}", [("text", "I look."), MADE]),
        ("Plain words", [("text", "Plain words")]),
        (f"{ANALYSIS}<|start|>assistant<|channel|>fin", [THOUGHT]),
        (f"<|channel|>analysis<|message|>Use {CALL.replace('<|message|>', ' ')}", [("reasoning", "Use")]),
        (CALL.removesuffix("}"), [("text", CALL.removesuffix("}"))]),
        (f"{CALL}!<|call|>", [("text", f"{CALL}!<|call|>")]),
    ],
)
def test_messages_become_reasoning_text_and_calls(text: str, parts: list[tuple[str, ...]]) -> None:
    for pieces in ([text], list(text)):
        assert read(READING, pieces).parts == tuple(parts)


def test_without_tools_a_message_to_a_function_is_text() -> None:
    assert read(Reading(Markers(tool_format="harmony")), [CALL]).parts == (("text", '{"city": "Köln"}'),)


def test_an_argument_may_quote_what_ends_a_message() -> None:
    said = read(READING, ['<|channel|>commentary to=functions.get-time<|message|>{"a": "<|call|>"}<|call|>'])
    assert said.calls == [("get-time", {"a": "<|call|>"})]
