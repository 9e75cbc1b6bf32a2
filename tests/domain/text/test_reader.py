"""Reading an answer: reasoning, calls, stops and the space between them, whatever the pieces."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.text.reader import OutputReader, Reading
from mlxk2.ports.engine import Markers
from tests.domain.text.reading import TOOLS, markers, read
from tests.domain.text.test_call_formats import WRITTEN

THINKER = Reading(markers(None))
GEMMA = Reading(Markers("<|channel>thought", "<channel|>"))
CALLER = Reading(markers("json_tools"), TOOLS)
CALL = '<tool_call>\n{"name": "get-time", "arguments": {}}\n</tool_call>'
MADE = ("call", "get-time", "{}", "call_0")


@pytest.mark.parametrize(
    ("reading", "text", "parts"),
    [
        (Reading(), " <think>a</think> b\n", [("text", " <think>a</think> b\n")]),
        (THINKER, "\n<think>\na\n</think>\n\nb \n", [("reasoning", "a"), ("text", "b \n")]),
        (THINKER, "<think>a", [("reasoning", "a")]),
        (THINKER, "<think>\n\n</think>\n\nb", [("text", "b")]),
        (THINKER, " b\n", [("text", " b\n")]),
        (THINKER, "say <think>a</think>", [("text", "say <think>a</think>")]),
        (THINKER, "b</think>c", [("text", "b</think>c")]),
        (Reading(markers(None), opens_reasoning=True), "a\n</think>\nb", [("reasoning", "a"), ("text", "b")]),
        (Reading(markers(None), opens_reasoning=True), "\n<think>a</think>b", [("reasoning", "a"), ("text", "b")]),
        (Reading(Markers(), opens_reasoning=True), "a", [("text", "a")]),
        (
            Reading(Markers("<|channel>thought", "<channel|>")),
            "<|channel>thought\na<channel|>b",
            [("reasoning", "a"), ("text", "b")],
        ),
        (CALLER, f"Wait.\n\n{CALL}\n", [("text", "Wait."), MADE]),
        (
            CALLER,
            f"<think>a</think>\n{CALL}\n<think>b</think>\nc",
            [("reasoning", "a"), MADE, ("reasoning", "b"), ("text", "c")],
        ),
        (CALLER, f"{CALL}\n\nDone. ", [MADE, ("text", "Done. ")]),
        (CALLER, "a <tool_ca", [("text", "a <tool_ca")]),
    ],
)
def test_an_answer_is_cut_at_its_markers(reading: Reading, text: str, parts: list[tuple[str, ...]]) -> None:
    assert read(reading, [text]).parts == tuple(parts)
    assert read(reading, list(text)).parts == tuple(parts)


@pytest.mark.parametrize(
    ("text", "stops", "parts", "stopped"),
    [
        ("<think>a.b</think>c.d", ["."], [("reasoning", "a.b"), ("text", "c")], True),
        (f"a {CALL} b", ["get-time"], [("text", "a"), MADE, ("text", "b")], False),
        (f"a{CALL}b", ["ab"], [("text", "a"), MADE, ("text", "b")], False),
        (f"a. {CALL}", ["."], [("text", "a")], True),
        ("<think>a</think>\n\nb\n\nc", ["\n\n"], [("reasoning", "a"), ("text", "b")], True),
        ("<tool_call>x.y</tool_call>", ["."], [("text", "<tool_call>x")], True),
        ("b \nc", ["c"], [("text", "b \n")], True),
    ],
)
def test_stops_look_at_visible_text_only(
    text: str, stops: list[str], parts: list[tuple[str, ...]], stopped: bool
) -> None:
    for pieces in ([text], list(text)):
        said = read(CALLER, pieces, stops)
        assert (said.parts, said.stopped) == (tuple(parts), stopped)


def test_visible_text_is_not_held_back_without_need() -> None:
    reader = OutputReader(CALLER)
    shown = [len(reader.feed(piece)) for piece in ("<thi", "ng", " is", " ", "<tool", "s")]
    assert shown == [0, 1, 1, 0, 0, 1]


FORMATS = [*WRITTEN, "harmony"]
HARMONY = [
    "<|channel|>analysis<|message|>hm<|end|>",
    "<|start|>assistant<|channel|>final<|message|>",
    '<|start|>assistant<|channel|>commentary to=functions.get-time json<|message|>{"a": "<|end|>"}<|call|>',
    "<|channel|>commentary to=functions.f<|message|>nonsense<|call|>",
    "<|start|>",
    "<|return|>",
]
PLAIN = ["<think>", "</think>", "a", "b\n", " ", "\n\n", "<", "ab", "{", '"']


def calls_and_halves(name: str) -> list[str]:
    calls = HARMONY if name == "harmony" else [text for text, _ in WRITTEN[name]]
    return [*calls, *(part for text in calls for part in (text[: len(text) // 2], text[len(text) // 2 :]))]


def texts(name: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*calls_and_halves(name), *PLAIN, *PLAIN]), max_size=8).map("".join)


def cut(data: st.DataObject, text: str) -> list[str]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


UNHURRIED = settings(deadline=None, max_examples=60)
STOPS = st.lists(st.sampled_from(["ab", "b\n", "a", "\n\n", " <", "<tool", "b<", "get"]), max_size=2)


@pytest.mark.parametrize("name", FORMATS)
@UNHURRIED
@given(data=st.data(), opened=st.booleans(), stops=STOPS)
def test_events_do_not_depend_on_how_the_text_is_cut(
    name: str, data: st.DataObject, opened: bool, stops: list[str]
) -> None:
    text = data.draw(texts(name))
    reading = Reading(markers(name), TOOLS, opens_reasoning=opened)
    whole = read(reading, [text], stops)
    assert read(reading, list(text), stops) == whole
    assert read(reading, cut(data, text), stops) == whole


@pytest.mark.parametrize("name", FORMATS)
@UNHURRIED
@given(data=st.data(), stops=st.lists(st.sampled_from(["ab", "b\n", "a", "<tool", "get"]), min_size=1, max_size=2))
def test_no_stop_gets_out(name: str, data: st.DataObject, stops: list[str]) -> None:
    text = data.draw(texts(name))
    said = read(Reading(markers(name), TOOLS), list(text), stops)
    assert not any(stop in part[1] for part in said.parts if part[0] == "text" for stop in stops)


@pytest.mark.parametrize("name", FORMATS)
@UNHURRIED
@given(data=st.data(), opened=st.booleans())
def test_nothing_is_lost(name: str, data: st.DataObject, opened: bool) -> None:
    """Numbered words between whole calls, broken calls and markers all come out, once and in their order.

    Harmony's broken messages are left out: a word in a header belongs to the markers.
    """
    pieces = [*(HARMONY[:4] if name == "harmony" else calls_and_halves(name)), "<think>", "</think>", "\n"]
    drawn = data.draw(st.lists(st.one_of(st.none(), st.sampled_from(pieces)), max_size=9))
    text = "".join(f"w{place}w" if piece is None else piece for place, piece in enumerate(drawn))
    said = read(Reading(markers(name), TOOLS, opens_reasoning=opened), list(text))
    everything = "".join("".join(part[1:]) for part in said.parts)
    assert re.findall(r"w\d+w", everything) == re.findall(r"w\d+w", text)
