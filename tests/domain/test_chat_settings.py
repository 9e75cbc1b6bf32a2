"""The settings of a chat, by the names and in the words in which they are set and kept."""

import pytest

from mlxk2.domain.chat_settings import NAMES, ChatSettings, Pair, changed, read, without, written
from mlxk2.domain.sampling import SamplingChoice
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure

ALL: tuple[Pair, ...] = (
    ("temperature", "0.5"),
    ("top-p", "0.9"),
    ("top-k", "20"),
    ("min-p", "0.1"),
    ("repetition-penalty", "1.1"),
    ("presence-penalty", "0.25"),
    ("frequency-penalty", "-0.5"),
    ("seed", "7"),
    ("max-tokens", "100"),
    ("stop", "END"),
    ("stop", " two words\n"),
    ("thinking", "off"),
    ("schema", '{"type": "object"}'),
)


def test_what_is_written_reads_as_it_was() -> None:
    settings = read(ALL)
    assert settings == ChatSettings(
        SamplingChoice(0.5, 0.9, 20, 0.1, 1.1, 7, 0.25, -0.5),
        100,
        ("END", " two words\n"),
        False,
        Structure("json_schema", '{"type": "object"}'),
    )
    assert written(settings) == ALL
    assert {name for name, _ in ALL} == set(NAMES)


def test_nothing_is_written_of_what_nobody_set() -> None:
    assert written(ChatSettings()) == ()
    assert read(()) == ChatSettings()


def test_a_change_leaves_the_others_and_the_old_settings_alone() -> None:
    before = read((("seed", "7"), ("thinking", "on")))
    after = changed(before, "temperature", "2")
    assert written(after) == (("temperature", "2.0"), ("seed", "7"), ("thinking", "on"))
    assert written(before) == (("seed", "7"), ("thinking", "on"))


def test_names_are_taken_as_people_write_them() -> None:
    assert changed(ChatSettings(), "Top_P", "0.5").sampling.top_p == 0.5
    assert changed(ChatSettings(), "thinking", "ON").thinking is True


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_be_taken_back(name: str) -> None:
    rest = tuple(pair for pair in ALL if pair[0] != name)
    assert written(without(read(ALL), name)) == rest


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("temperature", "hot", "temperature 'hot' is no number: it must be 0, or from 0.0001 to 10000"),
        ("temperature", "-1", "temperature -1.0 is out of range: it must be 0, or from 0.0001 to 10000"),
        ("temperature", "nan", "temperature nan is out of range: it must be 0, or from 0.0001 to 10000"),
        ("top-k", "1.5", "top-k '1.5' is no number: it must be a whole number from 0 (off) to 2^63-1"),
        ("max-tokens", "0", "max-tokens 0 is out of range: it must be a whole number from 1 to 2^63-1"),
        ("thinking", "perhaps", "thinking 'perhaps' is not known: it must be on or off"),
        ("stop", "", "stop must not be empty; write the text that should end the answer"),
        ("temprature", "1", "There is no setting 'temprature'; did you mean temperature?"),
    ],
)
def test_what_cannot_be_set_is_met_with_one_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        changed(ChatSettings(), name, value)
    assert caught.value.message == sentence


def test_a_schema_must_be_json() -> None:
    with pytest.raises(ValidationError, match="The schema is not JSON: Expecting"):
        changed(ChatSettings(), "schema", "{")


@pytest.mark.parametrize("call", [lambda: without(ChatSettings(), "zzz"), lambda: read((("zzz", "1"),))])
def test_a_setting_that_there_is_not_is_told_with_those_that_there_are(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValidationError, match=r"There is no setting 'zzz'; there are temperature, top-p, .*, schema"):
        call()
