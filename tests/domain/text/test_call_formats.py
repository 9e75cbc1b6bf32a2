"""Every format of tool calls, as its models write it; and that what is no call stays text."""

import json

import pytest

from mlxk2.domain.text.calls import CALL_FORMS
from mlxk2.domain.text.reader import Reading
from tests.domain.text.reading import TOOLS, markers, read

Calls = list[tuple[str, object]]
ONE: Calls = [("get_weather", {"city": "Köln", "days": 3})]
NONE: Calls = [("get-time", {})]
TWO: Calls = [*ONE, *NONE]

WRITTEN: dict[str, list[tuple[str, Calls]]] = {
    "json_tools": [
        ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}\n</tool_call>', ONE),
        ('<tool_call>{"arguments": "{\\"city\\": \\"Köln\\", \\"days\\": 3}", "name": "get_weather"}</tool_call>', ONE),
        ('<tool_call>{"name": "get-time"}</tool_call>', NONE),
        ('<tool_call>{"type": "function", "function": {"name": "get-time", "arguments": null}}</tool_call>', NONE),
        ('<tool_call>[{"name": "get-time", "arguments": {}}]</tool_call>', NONE),
        ('<tool_call>{"name": "f", "arguments": {"a": "</tool_call>"}}</tool_call>', [("f", {"a": "</tool_call>"})]),
        ('<tool_call>{"name": "f", "arguments": {"a": "one\ntwo"}}', [("f", {"a": "one\ntwo"})]),
        (
            (
                '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}\n</tool_call>\n'
                '<tool_call>\n{"name": "get-time", "arguments": {}}\n</tool_call>'
            ),
            TWO,
        ),
    ],
    "qwen3_coder": [
        (
            (
                "<tool_call>\n<function=get_weather>\n<parameter=city>\nKöln\n</parameter>\n<parameter=days>\n3\n"
                "</parameter>\n</function>\n</tool_call>"
            ),
            ONE,
        ),
        ("<tool_call>\n<function=get-time>\n</function>\n</tool_call>", NONE),
        (
            (
                "<tool_call><function=get_weather><parameter=city>\n12\n</parameter><parameter=wind>\nTrue\n</parameter>"
                '<parameter=extra>\n{"a": [1]}\n</parameter></function></tool_call>'
            ),
            [("get_weather", {"city": "12", "wind": True, "extra": {"a": [1]}})],
        ),
        (
            "<tool_call><function=get_weather><parameter=city>\na\n</tool_call>\n\nb\n</parameter></function></tool_call>",
            [("get_weather", {"city": "a\n</tool_call>\n\nb"})],
        ),
    ],
    "glm47": [
        (
            (
                "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Köln</arg_value>\n<arg_key>days</arg_key>\n"
                "<arg_value>3</arg_value>\n</tool_call>"
            ),
            ONE,
        ),
        ("<tool_call>get-time</tool_call>", NONE),
    ],
    "longcat": [
        (
            (
                "<longcat_tool_call>get_weather\n<longcat_arg_key>city</longcat_arg_key>\n<longcat_arg_value>Köln"
                "</longcat_arg_value>\n<longcat_arg_key>days</longcat_arg_key>\n<longcat_arg_value>3</longcat_arg_value>\n"
                "</longcat_tool_call>"
            ),
            ONE,
        ),
    ],
    "minimax_m2": [
        (
            (
                '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Köln</parameter>\n'
                '<parameter name="days">3</parameter>\n</invoke>\n<invoke name="get-time">\n</invoke>\n'
                "</minimax:tool_call>"
            ),
            TWO,
        ),
    ],
    "muse_spark": [
        (
            (
                '<atem:function_calls><atem:invoke name="get_weather"><atem:parameter name="city" string="true">Köln'
                '</atem:parameter><atem:parameter name="days">3</atem:parameter></atem:invoke></atem:function_calls>'
            ),
            ONE,
        ),
    ],
    "minicpm5": [
        (
            (
                '<function name="get_weather"><param name="city"><![CDATA[Köln]]></param><param name="days">3</param>'
                "</function>"
            ),
            ONE,
        ),
        ('<function name="get-time"></function>', NONE),
    ],
    "pythonic": [
        ('<|tool_call_start|>[get_weather(city="Köln", days=3)]<|tool_call_end|>', ONE),
        ("<|tool_call_start|>[get_weather(city='Köln', days=3), get-time()]<|tool_call_end|>", TWO),
        (
            '<|tool_call_start|>[f(a="]<|tool_call_end|>\\"\\n", b={"c": [true, None, -1.5]})]<|tool_call_end|>',
            [("f", {"a": ']<|tool_call_end|>"\n', "b": {"c": [True, None, -1.5]}})],
        ),
        ('<|tool_call_start|>[f(a="\\ud83d\\ude00\\/")]<|tool_call_end|>', [("f", {"a": "😀/"})]),
    ],
    "function_gemma": [
        ("<start_function_call>call:get_weather{city:<escape>Köln<escape>,days:3}<end_function_call>", ONE),
        ("<start_function_call>call:get-time{}<end_function_call>", NONE),
        (
            "<start_function_call>call:f{a:[<escape>x,}<escape>],b:{c:true}}<end_function_call>",
            [("f", {"a": ["x,}"], "b": {"c": True}})],
        ),
    ],
    "gemma4": [
        ('<|tool_call>call:get_weather{city:<|"|>Köln<|"|>,days:3}<tool_call|>', ONE),
        (
            '<|tool_call>call:f{a:<|"|>} <tool_call|> "q"<|"|>,b:[{c:null}]}<tool_call|>',
            [("f", {"a": '} <tool_call|> "q"', "b": [{"c": None}]})],
        ),
    ],
    "kimi_k2": [
        (
            (
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
                '{"city": "Köln", "days": 3}<|tool_call_end|><|tool_call_begin|>functions.get-time:1'
                "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>"
            ),
            TWO,
        ),
    ],
    "mistral": [
        ('[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}]', ONE),
        ('[TOOL_CALLS]get_weather[ARGS]{"city": "Köln", "days": 3}', ONE),
        ('[TOOL_CALLS]get_weather[ARGS]{"city": "Köln", "days": 3}get-time[ARGS]{}', TWO),
        ('[TOOL_CALLS]get_weather[CALL_ID]ab1[ARGS]{"city": "Köln", "days": 3}[TOOL_CALLS]get-time[ARGS]{}', TWO),
    ],
    "llama3": [
        ('{"name": "get_weather", "parameters": {"city": "Köln", "days": 3}}', ONE),
        ('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Köln", "days": 3}}', ONE),
        (
            (
                '\n{"type": "function", "name": "get_weather", "parameters": {"city": "Köln", "days": 3}}; '
                '{"name": "get-time", "parameters": {}}'
            ),
            TWO,
        ),
    ],
}
CASES = [(name, text, calls) for name, cases in WRITTEN.items() for text, calls in cases]


def reading(name: str) -> Reading:
    return Reading(markers(name), TOOLS)


def test_every_format_is_tested() -> None:
    assert set(CALL_FORMS) - {"laguna"} == set(WRITTEN)
    assert CALL_FORMS["laguna"] is CALL_FORMS["glm47"]


@pytest.mark.parametrize(("name", "text", "calls"), CASES)
def test_a_call_is_read(name: str, text: str, calls: Calls) -> None:
    said = read(reading(name), [text])
    assert (said.calls, said.text) == (calls, "")


@pytest.mark.parametrize(("name", "text", "calls"), CASES)
def test_without_tools_a_call_is_text(name: str, text: str, calls: Calls) -> None:
    del calls
    said = read(Reading(markers(name)), [text])
    assert (said.calls, said.text) == ([], text)


@pytest.mark.parametrize(("name", "text", "calls"), CASES)
def test_a_call_inside_reasoning_is_reasoning(name: str, text: str, calls: Calls) -> None:
    del calls
    said = read(reading(name), [f"<think>maybe {text} or not</think>No."])
    assert (said.calls, said.reasoning, said.text) == ([], f"maybe {text} or not", "No.")


@pytest.mark.parametrize(("name", "text", "calls"), CASES)
def test_a_call_that_breaks_off_is_text_as_it_stands(name: str, text: str, calls: Calls) -> None:
    for length in range(len(text)):
        said = read(reading(name), [text[:length]])
        assert said.text == text[:length] or said.calls == calls[: len(said.calls)]
        assert said.text or said.calls or not length


MALFORMED = [
    ("json_tools", "<tool_call>not json</tool_call>"),
    ("json_tools", '<tool_call>{"name": "f", "arguments": [1]}</tool_call>'),
    ("json_tools", '<tool_call>{"name": "f", "arguments": {"a": NaN}}</tool_call>'),
    ("json_tools", '<tool_call>{"arguments": {}}</tool_call>'),
    ("json_tools", '<tool_call>{"name": "f", "arguments": "a"}</tool_call>'),
    ("json_tools", '<tool_call>{"name": "f", "args": {}}</tool_call>'),
    ("json_tools", "<tool_call>[]</tool_call>"),
    ("json_tools", "<tool_call>" + "[" * 100_000 + "</tool_call>"),
    ("json_tools", "<tool_call></tool_call>"),
    ("qwen3_coder", "<tool_call><function=f><parameter=a>1</function></tool_call>"),
    ("qwen3_coder", "<tool_call><function=f>stray</function></tool_call>"),
    (
        "qwen3_coder",
        "<tool_call><function=f><parameter=a>1</parameter><parameter=a>2</parameter></function></tool_call>",
    ),
    ("pythonic", "<|tool_call_start|>[f(a=1, a=2)]<|tool_call_end|>"),
    ("glm47", "<tool_call>f<arg_key>a</arg_key></tool_call>"),
    ("minimax_m2", '<minimax:tool_call><invoke name="f"></minimax:tool_call>'),
    ("pythonic", "<|tool_call_start|>[f(1)]<|tool_call_end|>"),
    ("pythonic", "<|tool_call_start|>[f(a=" + "[" * 5000 + ")]<|tool_call_end|>"),
    ("pythonic", "<|tool_call_start|>[f(a=open)]<|tool_call_end|>"),
    ("pythonic", "<|tool_call_start|>[f(a=)]<|tool_call_end|>"),
    ("pythonic", "<|tool_call_start|>[f()] now<|tool_call_end|>"),
    ("function_gemma", "<start_function_call>call:f{a:<escape>x}<end_function_call>"),
    ("kimi_k2", "<|tool_calls_section_begin|>f{}<|tool_calls_section_end|>"),
    ("mistral", "[TOOL_CALLS]f{}"),
    ("mistral", '[TOOL_CALLS]f[ARGS]{"a": 1} and more'),
    ("llama3", '{"name": "no_tool", "parameters": {}}'),
    ("llama3", '{"name": "get_weather", "parameters": {}} is a call'),
]


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_what_is_not_a_call_stays_text_to_the_last_character(name: str, text: str) -> None:
    said = read(reading(name), ["See: ", text, "\nDone."] if name != "llama3" else [text])
    assert said.calls == []
    assert said.text == (f"See: {text}\nDone." if name != "llama3" else text)


def test_a_call_quoted_in_a_broken_call_is_never_made() -> None:
    quoted = "<tool_call><function=get-time></function></tool_call>"
    text = f"<tool_call><function=get_weather><parameter=city>{quoted}"
    assert read(reading("qwen3_coder"), [text]).calls == []


def test_arguments_are_json_whatever_the_model_wrote() -> None:
    said = read(reading("json_tools"), ['<tool_call>{"name":"f","arguments":{"a":"\\ud800","b":"ü\t"}}</tool_call>'])
    arguments = said.parts[0][2]
    assert arguments == '{"a": "\\ud800", "b": "\\u00fc\\t"}'
    assert json.loads(arguments) == {"a": "\ud800", "b": "ü\t"}


def test_a_number_too_large_to_hold_becomes_the_largest_there_is() -> None:
    said = read(reading("json_tools"), ['<tool_call>{"name":"f","arguments":{"a":1e999,"b":-1e999}}</tool_call>'])
    assert said.calls == [("f", {"a": 1.7976931348623157e308, "b": -1.7976931348623157e308})]


def test_the_model_s_own_ids_are_kept_and_others_given() -> None:
    said = read(reading("mistral"), ["[TOOL_CALLS]f[CALL_ID]ab1[ARGS]{}[TOOL_CALLS]f[ARGS]{}"])
    assert [part[3] for part in said.parts] == ["ab1", "call_1"]
    kimi = WRITTEN["kimi_k2"][0][0]
    assert [part[3] for part in read(reading("kimi_k2"), [kimi]).parts] == [
        "functions.get_weather:0",
        "functions.get-time:1",
    ]
