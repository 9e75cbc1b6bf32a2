"""Answers that are made to be slow to read: whoever writes the prompt steers them. The work grows with their length."""

import json

import pytest

from mlxk2.domain.text.reader import OutputReader, Reading
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from tests.domain.text.reading import read
from tests.domain.text.work import calls_made

TOOL = Tool("f", parameters=json.dumps({"properties": {"a": {"type": "string"}}}))


def reading(name: str) -> Reading:
    return Reading(Markers("<think>", "</think>", tool_format=name), (TOOL,))


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("glm47", "<tool_call>f<arg_key>", "</tool_call>"),
        ("longcat", "<longcat_tool_call>f<longcat_arg_key>", "</longcat_tool_call>"),
    ],
)
def test_a_name_of_nothing_but_space_is_not_searched_for_again_and_again(name: str, begin: str, end: str) -> None:
    text = begin + " " * 100_000 + end
    assert read(reading(name), [text]).text == text


def test_space_around_a_name_does_not_count_and_within_it_does() -> None:
    text = "<tool_call>f<arg_key>\n a  b \n</arg_key><arg_value>1</arg_value></tool_call>"
    assert read(reading("glm47"), [text]).calls == [("f", {"a  b": 1})]


@pytest.mark.parametrize("value", ["<![CDATA[", '["', '["\\"', "[", "]]> "])
def test_values_that_pretend_to_be_whole_are_searched_once(value: str) -> None:
    """Each seems to reach beyond its end tag, to the end of the text."""
    names = [f"a{number}" for number in range(50_000)]
    values = "".join(f"<parameter={name}>{value}</parameter>" for name in names)
    text = f"<tool_call><function=f>{values}</function></tool_call>"
    assert read(reading("qwen3_coder"), [text]).calls == [("f", dict.fromkeys(names, value))]


@pytest.mark.parametrize("value", ['["</parameter>", 1]', '{"a": "\\"</parameter>"}', " [1] "])
def test_a_whole_value_of_json_may_hold_what_ends_values(value: str) -> None:
    text = f"<tool_call><function=f><parameter=x>{value}</parameter></function></tool_call>"
    assert read(reading("qwen3_coder"), [text]).calls == [("f", {"x": json.loads(value)})]


@pytest.mark.parametrize(
    ("name", "begin", "mark"),
    [
        ("json_tools", '<tool_call>{"name":"f","arguments":{"a":"', "</tool_call>"),
        ("mistral", '[TOOL_CALLS]f[ARGS]{"a":"', "[TOOL_CALLS]"),
        ("llama3", '{"name":"f","parameters":{"a":"', "<|python_tag|>"),
        ("kimi_k2", '<|tool_calls_section_begin|>{"', "<|tool_calls_section_end|>"),
        ("harmony", '<|channel|>commentary to=functions.f<|message|>{"a":"', "<|call|>"),
        ("pythonic", '<|tool_call_start|>[f(a="', "<|tool_call_end|>"),
        ("gemma4", '<|tool_call>call:f{a:<|"|>', "<tool_call|>"),
        ("qwen3_coder", "<tool_call><function=f><parameter=a>", "</tool_call>"),
    ],
)
def test_end_marks_inside_a_value_are_looked_at_once(name: str, begin: str, mark: str) -> None:
    marks = 300
    reader = OutputReader(reading(name))

    def feed() -> None:
        for piece in [begin, *[mark] * marks]:
            assert not reader.feed(piece)

    assert calls_made(feed) < 100 * marks


@pytest.mark.parametrize("begin", ["", "<think>a</think>", "a"])
def test_space_that_waits_for_more_comes_out_whole(begin: str) -> None:
    """Whatever it waits for: a marker, a call, or the end."""
    pieces = [begin, *[" \n"] * 1000]
    said = read(reading("json_tools"), [*pieces, "b"])
    assert said.text == ("b" if "think" in begin else "".join([*pieces, "b"]))
    assert said == read(reading("json_tools"), ["".join([*pieces, "b"])])
