"""Structures for models that think first, tried with llguidance itself."""

import pytest

from mlxk2.domain.text.grammar.reasoning import JSON_OBJECT, after_reasoning
from mlxk2.ports.engine import Markers
from mlxk2.ports.generation import Structure
from tests.domain.text.holding import SPECIAL, vocabulary

DATE = Structure("regex", r"\d+/\d+\/\d\n?")
NUMBERS = Structure("lark", 'start: number (", " number)*\nnumber: /[0-9]+/')


@pytest.mark.parametrize(
    ("structure", "right", "wrong"),
    [
        (JSON_OBJECT, '{"a": [1]}', "[1]"),
        (Structure("json_schema", '{"type": "integer"}'), "12", '"12"'),
        (DATE, "1/2/3", "1-2-3"),
        (Structure("regex", "a\nb|c"), "a\nb", "ab"),
        (NUMBERS, "1, 2", "1; 2"),
    ],
)
def test_the_form_follows_on_the_reasoning(structure: Structure, right: str, wrong: str) -> None:
    words = vocabulary()
    free = after_reasoning(structure, words.markers(None), opens_reasoning=False)
    opened = after_reasoning(structure, words.markers(None), opens_reasoning=True)
    for before in ("", "<think>\nhm {</think>\n\n"):
        assert words.takes(free, before + right)
        assert not words.takes(free, before + wrong)
    assert words.takes(opened, f"hm {{</think>\n\n{right}")
    assert not words.takes(opened, f"hm</think>{wrong}")
    assert not words.takes(opened, "hm")


def test_marks_may_be_ordinary_text() -> None:
    words = vocabulary()
    markers = Markers("[THINK]", "[/THINK]", special=words.special)
    structure = after_reasoning(JSON_OBJECT, markers, opens_reasoning=False)
    assert words.takes(structure, "[THINK]a[/b[/THINK]{}")
    assert not words.takes(structure, "[THINK]a{}")


def test_a_mark_may_begin_with_a_special_token() -> None:
    words = vocabulary(*SPECIAL["gemma4"])
    markers = Markers("<|channel>thought", "<channel|>", special=words.special)
    structure = after_reasoning(JSON_OBJECT, markers, opens_reasoning=False)
    assert words.takes(structure, "<|channel>thought\nhm<channel|>{}")
    assert not words.takes(structure, "<|channel>final{}")


def test_harmony_puts_the_form_into_the_final_channel() -> None:
    words = vocabulary(*SPECIAL["harmony"])
    structure = after_reasoning(JSON_OBJECT, words.markers("harmony", thinks=False), opens_reasoning=False)
    final = "<|channel|>final<|message|>{}"
    assert words.takes(structure, final)
    assert words.takes(structure, f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{final}")
    assert not words.takes(structure, "{}")


def test_a_model_that_does_not_think_is_held_from_the_beginning() -> None:
    assert after_reasoning(JSON_OBJECT, Markers(), opens_reasoning=False) is JSON_OBJECT
