"""Answers held to a tool choice, tried with llguidance itself: what is let through, what is not, what can be drawn."""

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.text.grammar.choice import ToolChoice, tool_structure
from mlxk2.domain.text.grammar.spellings import SPELLINGS
from mlxk2.domain.text.reader import Reading
from mlxk2.ports.checking import LONGEST_STRUCTURE
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure
from tests.domain.text.holding import SPECIAL, Vocabulary, vocabulary
from tests.domain.text.reading import TIME, TOOLS, WEATHER, read

ARGUMENTS = '{"city": "Ulm", "days": 3}'
CALLS = {
    "function_gemma": "<start_function_call>call:get_weather{city:<escape>Ulm<escape>,days:3}<end_function_call>",
    "gemma4": '<|tool_call>call:get_weather{city:<|"|>Ulm<|"|>,days:3}<tool_call|>',
    "glm47": (
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Ulm</arg_value>\n<arg_key>days</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>"
    ),
    "harmony": f"<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{ARGUMENTS}",
    "json_tools": f'<tool_call>\n{{"name": "get_weather", "arguments": {ARGUMENTS}}}\n</tool_call>',
    "kimi_k2": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        f"{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>"
    ),
    "llama3": f'{{"name": "get_weather", "parameters": {ARGUMENTS}}}',
    "longcat": (
        "<longcat_tool_call>get_weather\n<longcat_arg_key>city</longcat_arg_key>\n<longcat_arg_value>Ulm"
        "</longcat_arg_value>\n<longcat_arg_key>days</longcat_arg_key>\n<longcat_arg_value>3</longcat_arg_value>\n"
        "</longcat_tool_call>"
    ),
    "minicpm5": '<function name="get_weather"><param name="city">Ulm</param><param name="days">3</param></function>',
    "minimax_m2": (
        '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Ulm</parameter>\n'
        '<parameter name="days">3</parameter>\n</invoke>\n</minimax:tool_call>'
    ),
    "mistral": f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}",
    "muse_spark": (
        '<atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Ulm</atem:parameter>\n'
        '<atem:parameter name="days">3</atem:parameter>\n</atem:invoke>\n</atem:function_calls>'
    ),
    "pythonic": '<|tool_call_start|>[get_weather(city="Ulm", days=3)]<|tool_call_end|>',
    "qwen3_coder": (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nUlm\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        "</function>\n</tool_call>"
    ),
}
FORMATS = [*CALLS]
CHOICES = [ToolChoice(), ToolChoice(parallel=False), ToolChoice(required=True), ToolChoice(name="get_weather")]
REQUIRED = ToolChoice(required=True)
ONE_CALL = ToolChoice(required=True, parallel=False)


def words(name: str) -> Vocabulary:
    return vocabulary(*SPECIAL.get(name, ()))


def held(name: str, choice: ToolChoice, *, opened: bool = False, thinks: bool = True) -> Structure:
    structure = tool_structure(words(name).markers(name, thinks=thinks), TOOLS, choice, opens_reasoning=opened)
    assert structure is not None
    return structure


def test_every_format_with_a_spelling_is_tested() -> None:
    assert set(SPELLINGS) - {"laguna"} | {"harmony", "llama3"} == set(CALLS)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", FORMATS)
def test_a_right_call_is_let_through_and_a_wrong_one_is_not(name: str, choice: ToolChoice, opened: bool) -> None:
    structure = held(name, choice, opened=opened)
    before = "hm</think>\n" if opened and name != "harmony" else ""
    right = before + CALLS[name]
    assert words(name).takes(structure, right)
    for wrong in (
        right.replace("3", "three"),
        right.replace("get_weather", "get_wether"),
        right.replace("city", "town"),
    ):
        assert not words(name).takes(structure, wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_let_through_is_read_as_the_call(name: str) -> None:
    assert read(Reading(Markers(tool_format=name), TOOLS), [CALLS[name]]).calls == [
        ("get_weather", json.loads(ARGUMENTS))
    ]


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_drawn_is_a_call_that_fits_its_schema(name: str, seed: int) -> None:
    answer = words(name).sample(held(name, ONE_CALL, thinks=False), seed)
    said = read(Reading(words(name).markers(name, thinks=False), TOOLS), [answer])
    assert said.calls, answer
    assert not said.text.strip(), answer
    schemas = {tool.name: json.loads(tool.parameters) for tool in TOOLS}
    for called, arguments in said.calls:
        jsonschema.validate(arguments, schemas[called])


@pytest.mark.parametrize("name", FORMATS)
def test_a_required_call_comes_at_once_after_reasoning(name: str) -> None:
    say = "<|channel|>final<|message|>Hi" if name == "harmony" else "Hi"
    structure = held(name, REQUIRED)
    assert not words(name).takes(structure, "")
    assert not words(name).takes(structure, say)
    thought = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant" if name == "harmony" else "<think>Hm.</think>\n"
    )
    assert words(name).takes(structure, thought + CALLS[name])
    assert not words(name).takes(structure, thought)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "harmony"])
def test_where_the_model_may_choose_its_text_is_free(name: str) -> None:
    for thinks, opened in ((False, False), (True, False), (True, True)):
        structure = held(name, ToolChoice(), thinks=thinks, opened=opened)
        for text in ("", "Hi there.\n", "Hm.</think>Hi" if opened else "1 < 2 {}"):
            assert words(name).takes(structure, text)


def test_harmony_s_channels_are_free_where_the_model_may_choose() -> None:
    structure = held("harmony", ToolChoice())
    analysis = "<|channel|>analysis<|message|>Hm."
    for text in (analysis, f"{analysis}<|end|><|start|>assistant<|channel|>final<|message|>Hi", CALLS["harmony"]):
        assert words("harmony").takes(structure, text)


def test_a_call_may_follow_text_and_reasoning_holds_none() -> None:
    structure = held("json_tools", ToolChoice())
    call = CALLS["json_tools"]
    assert words("json_tools").takes(structure, f"I look.\n{call}\n{call}\nDone.")
    assert words("json_tools").takes(structure, "\n<think>or <tool_call>so</think>Hi.")
    assert not words("json_tools").takes(structure, "<think>so</think><tool_call>so")


def test_reasoning_between_marks_that_are_ordinary_text_may_stay_open_or_end() -> None:
    markers = Markers("[THINK]", "[/THINK]", tool_format="json_tools", special=words("json_tools").special)
    structure = tool_structure(markers, TOOLS, ToolChoice(), opens_reasoning=True)
    assert structure is not None
    for text in ("Hm.", "Hm.[/THINK]Hi.", f"Hm.[/THINK]\n{CALLS['json_tools']}"):
        assert words("json_tools").takes(structure, text)
    assert not words("json_tools").takes(structure, "Hm.[/THINK]<tool_call>so")


def test_a_trigger_that_is_no_special_token_holds_the_call_too() -> None:
    structure = held("longcat", ToolChoice())
    assert words("longcat").takes(structure, f"I look: {CALLS['longcat']} Done.")
    assert not words("longcat").takes(structure, "I look: <longcat_tool_call>so")


SEVERAL = {
    "json_tools": f"{CALLS['json_tools']}\n{CALLS['json_tools']}",
    "kimi_k2": CALLS["kimi_k2"].replace("<|tool_call_end|>", "<|tool_call_end|>" + CALLS["kimi_k2"][28:-26]),
    "llama3": f"{CALLS['llama3']}; {CALLS['llama3']}",
    "mistral": CALLS["mistral"] * 2,
    "pythonic": '<|tool_call_start|>[get_weather(city="Ulm"), get-time()]<|tool_call_end|>',
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_calls_only_where_they_are_allowed(name: str) -> None:
    text = SEVERAL[name]
    assert len(read(Reading(Markers(tool_format=name), TOOLS), [text]).calls) == 2
    for required in (False, True):
        assert words(name).takes(held(name, ToolChoice(required=required)), text)
        assert not words(name).takes(held(name, ToolChoice(required=required, parallel=False)), text)
    assert not words(name).takes(held(name, ToolChoice(name="get_weather")), text)


def test_a_named_tool_is_the_only_one() -> None:
    assert not words("json_tools").takes(held("json_tools", ToolChoice(name="get-time")), CALLS["json_tools"])


def test_mistral_s_older_models_write_a_list() -> None:
    old = vocabulary("[TOOL_CALLS]")
    structure = tool_structure(old.markers("mistral"), TOOLS, REQUIRED, opens_reasoning=False)
    assert structure is not None
    one = f'{{"name": "get_weather", "arguments": {ARGUMENTS}}}'
    assert old.takes(structure, f"[TOOL_CALLS][{one}, {one}]")


def test_an_answer_in_json_is_free_beside_llama_s_calls() -> None:
    structure = held("llama3", ToolChoice())
    assert words("llama3").takes(structure, '{"city": "Ulm"}')
    assert words("llama3").takes(structure, f"<|python_tag|>{CALLS['llama3']}")
    assert not words("llama3").takes(structure, '\n{"name": "Ulm"}')


PALETTE = Tool(
    "paint",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {
                "colour": {"enum": ["red", "light blue"]},
                "layers": {"type": "array", "items": {"$ref": "#/$defs/layer"}},
                "note": {"type": ["string", "null"]},
                "price": {"anyOf": [{"type": "number"}, {"enum": [0, True]}]},
                "width": {"type": "integer", "maximum": 9},
            },
            "required": ["colour", "layers"],
            "$defs": {
                "layer": {
                    "type": "object",
                    "properties": {"id": {"const": 7}, "below": {"$ref": "#/$defs/layer"}},
                    "required": ["id"],
                    "additionalProperties": False,
                }
            },
        }
    ),
)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_nested_schemas_are_held_too(name: str, seed: int) -> None:
    markers = words(name).markers(name, thinks=False)
    structure = tool_structure(markers, [PALETTE], ToolChoice(name="paint"), opens_reasoning=False)
    assert structure is not None
    ((called, arguments),) = read(Reading(markers, (PALETTE,)), [words(name).sample(structure, seed)]).calls
    assert called == "paint"
    jsonschema.validate(arguments, json.loads(PALETTE.parameters))


UNKNOWN = Tool(
    "f", parameters='{"type": "object", "properties": {"a": {"type": "string"}}, "unevaluatedItems": {"not": {}}}'
)


def test_a_keyword_that_cannot_be_held_is_refused_only_where_a_call_is_required() -> None:
    markers = words("json_tools").markers("json_tools")
    free = tool_structure(markers, [UNKNOWN], ToolChoice(), opens_reasoning=False)
    forced = tool_structure(markers, [UNKNOWN], REQUIRED, opens_reasoning=False)
    assert free is not None
    assert forced is not None
    assert words("json_tools").takes(free, '<tool_call>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_call>')
    with pytest.raises(AssertionError, match="unevaluatedItems"):
        words("json_tools").matcher(forced)


def test_a_strict_tool_with_such_a_keyword_is_refused_where_the_model_may_choose() -> None:
    markers = words("json_tools").markers("json_tools")
    free = tool_structure(markers, [replace(UNKNOWN, strict=True)], ToolChoice(), opens_reasoning=False)
    assert free is not None
    with pytest.raises(AssertionError, match="unevaluatedItems"):
        words("json_tools").matcher(free)


def test_a_strict_tool_is_refused_where_the_format_is_not_known() -> None:
    with pytest.raises(ValidationError, match="The tool 'f' is strict") as caught:
        tool_structure(Markers(), [Tool("f", strict=True)], ToolChoice(), opens_reasoning=False)
    assert caught.value.parameter == "tools"


@pytest.mark.parametrize("choice", [REQUIRED, ToolChoice(name="get-time")])
@pytest.mark.parametrize("name", [None, "kimi_k3"])
def test_a_format_that_is_not_known_can_only_be_free(name: str | None, choice: ToolChoice) -> None:
    assert tool_structure(Markers(tool_format=name), TOOLS, ToolChoice(), opens_reasoning=False) is None
    with pytest.raises(ValidationError, match="tool_choice"):
        tool_structure(Markers(tool_format=name), TOOLS, choice, opens_reasoning=False)


@pytest.mark.parametrize(
    ("tools", "choice", "message"),
    [
        ([WEATHER], ToolChoice(name="get-time"), "tool_choice names 'get-time'"),
        ([], REQUIRED, "tool_choice requires a call"),
        ([Tool("f", parameters="{")], REQUIRED, "parameters of the tool 'f'"),
        ([Tool("f", parameters="[]")], ToolChoice(), "parameters of the tool 'f'"),
        ([Tool("f", parameters='{"properties": 1}')], ToolChoice(), "parameters of the tool 'f'"),
        ([Tool("f", parameters='{"a":' * 101 + "1" + "}" * 101)], ToolChoice(), "nests deeper than 100 levels"),
    ],
)
def test_what_cannot_be_asked_for_is_said(tools: list[Tool], choice: ToolChoice, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tool_structure(Markers(tool_format="json_tools"), tools, choice, opens_reasoning=False)


@pytest.mark.parametrize("name", ["gemma4", "pythonic", "qwen3_coder"])
def test_a_reference_to_nowhere_is_said(name: str) -> None:
    tool = Tool("f", parameters='{"properties": {"a": {"$ref": "#/$defs/none"}}}')
    with pytest.raises(ValidationError, match="refers to"):
        tool_structure(Markers(tool_format=name), [tool], REQUIRED, opens_reasoning=False)


RELATED = Tool(
    "relate",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {
                "counts": {"type": "array", "items": {"type": "integer"}},
                "count": {"$ref": "#/properties/counts/items"},
                "a~b": {"enum": [1, 2]},
                "same": {"$ref": "#/properties/a~0b"},
                "colour": {"$ref": "#/$defs/a%20colour", "description": "of the whole"},
                "within": {"$ref": "#"},
            },
            "required": ["count", "same", "colour"],
            "additionalProperties": False,
            "$defs": {"a colour": {"enum": ["red", "light blue"]}},
        }
    ),
)


def related(count: str, same: str, colour: str, within: str) -> str:
    values = {"count": count, "same": same, "colour": colour, "within": within}
    tagged = "".join(f"\n<parameter={key}>\n{value}\n</parameter>" for key, value in values.items())
    return f"<tool_call>\n<function=relate>{tagged}\n</function>\n</tool_call>"


def test_references_lead_to_any_place_of_a_schema() -> None:
    """Also where values are taken out of it one by one; `#` is still the whole."""
    markers = words("qwen3_coder").markers("qwen3_coder", thinks=False)
    structure = tool_structure(markers, [RELATED], ToolChoice(name="relate"), opens_reasoning=False)
    assert structure is not None
    below = '{"count": 1, "same": 2, "colour": "red"}'
    assert words("qwen3_coder").takes(structure, related("1", "2", "light blue", below))
    for wrong in (
        related("one", "2", "red", below),
        related("1", "3", "red", below),
        related("1", "2", "blue", below),
        related("1", "2", "red", below.replace("2", "3")),
        related("1", "2", "red", '{"colour": "red"}'),
    ):
        assert not words("qwen3_coder").takes(structure, wrong)


def test_references_lead_to_any_place_for_the_gemma_models_too() -> None:
    schema = {"properties": {"a~b": {"type": "integer"}, "c": {"$ref": "#/properties/a~0b"}}, "required": ["c"]}
    tool = Tool("f", parameters=json.dumps(schema))
    structure = tool_structure(words("gemma4").markers("gemma4"), [tool], REQUIRED, opens_reasoning=False)
    assert structure is not None
    assert words("gemma4").takes(structure, "<|tool_call>call:f{c:1}<tool_call|>")
    assert not words("gemma4").takes(structure, "<|tool_call>call:f{c:true}<tool_call|>")


def shared(parameters: int, definitions: int) -> Tool:
    """Each parameter refers to the first of many long definitions, with other words beside it."""
    long = {f"d{place}": {"type": "object", "properties": {"x" * 2000: {}}} for place in range(definitions)}
    places = {f"p{place}": {"$ref": "#/$defs/d0", "description": f"{place}"} for place in range(parameters)}
    return Tool("f", parameters=json.dumps({"type": "object", "properties": places, "$defs": long}))


@pytest.mark.parametrize("name", ["glm47", "pythonic", "qwen3_coder"])
def test_a_definition_is_written_once_and_only_if_it_is_needed(name: str) -> None:
    structure = tool_structure(Markers(tool_format=name), [shared(50, 50)], REQUIRED, opens_reasoning=False)
    assert structure is not None
    assert structure.text.count("x" * 2000) == 1


def test_a_grammar_that_no_engine_takes_is_given_up() -> None:
    places = {f"p{place}": {"$ref": "#/$defs/d", "maxProperties": place} for place in range(1000)}
    long = {"type": "object", "properties": {"x" * 2000: {}}}
    tool = Tool("f", parameters=json.dumps({"properties": places, "$defs": {"d": long}}))
    with pytest.raises(ValidationError, match=f"more than {LONGEST_STRUCTURE} characters"):
        tool_structure(Markers(tool_format="qwen3_coder"), [tool], REQUIRED, opens_reasoning=False)


def test_long_chains_of_references_are_followed() -> None:
    length = 3000
    chain: dict[str, object] = {f"d{place}": {"$ref": f"#/$defs/d{place + 1}"} for place in range(length)}
    schema = {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**chain, f"d{length}": {"type": "integer"}}}
    tool = Tool("f", parameters=json.dumps(schema))
    assert tool_structure(Markers(tool_format="gemma4"), [tool], REQUIRED, opens_reasoning=False)


def test_without_tools_nothing_is_held() -> None:
    assert tool_structure(Markers(tool_format="json_tools"), [], ToolChoice(), opens_reasoning=False) is None
    assert TIME in TOOLS
