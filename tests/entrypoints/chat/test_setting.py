"""`/set`, `/system` and `/show`."""

import json
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MEMORY_INFO
from mlxk2.domain.chat_settings import NAMES
from mlxk2.entrypoints.cli.chat.setting import MAY_BE
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import ValidationError
from tests.entrypoints.chat.talking import Talk

THINKER = MEMORY_INFO._replace(has_thinking_switch=True, markers=Markers("<think>", "</think>"))
ALL = """\
temperature         auto
top-p               auto
top-k               auto
min-p               auto
repetition-penalty  auto
presence-penalty    auto
frequency-penalty   auto
seed                7
max-tokens          auto
stop                "END" "\\n\\n"
thinking            auto
schema              off
system              Be brief. And kind.
reasoning           show
markdown            on

/set NAME VALUE changes one; /help set says what it may be."""
HELP = """\
/set [NAME [VALUE]]
show or change how answers are made and shown

temperature         0, or from 0.0001 to 10000
top-p               between 0.0001 and 1 (off)
top-k               a whole number from 0 (off) to 2^63-1
min-p               0 (off), or between 0.0001 and 1
repetition-penalty  between 0.01 and 100; 1 is off
presence-penalty    between -2 and 2; 0 is off
frequency-penalty   between -2 and 2; 0 is off
seed                a whole number from 0 to 2^64-1
max-tokens          1 or more; the most that an answer has
stop                texts that end an answer: "END" "\\n"
thinking            on or off
schema              file with a JSON schema for answers
system              text that comes before everything
reasoning           show or hide
markdown            on or off

auto in place of a value: as the model recommends.
off: without stop, schema or system text."""


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_set_alone_shows_all_that_holds() -> None:
    talk = Talk(system="Be brief.\nAnd kind.")
    talk.do("/set seed 7")
    talk.do('/set stop END "\\n\\n"')
    assert talk.do("/set") == ALL


def test_help_on_set_says_what_each_may_be(talk: Talk) -> None:
    assert talk.do("/help set") == HELP
    assert all(len(row) < 60 for row in HELP.splitlines())
    assert {*NAMES} < {*MAY_BE}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("temperature", "0.7", "0.7"),
        ("top_p", "0.9", "0.9"),
        ("TOP-K", "40", "40"),
        ("min_p", "0", "0.0"),
        ("repetition_penalty", "1.1", "1.1"),
        ("seed", "18446744073709551615", "18446744073709551615"),
        ("max_tokens", "5", "5"),
    ],
)
def test_a_number_holds_from_now_on_and_auto_takes_it_back(name: str, value: str, shown: str, talk: Talk) -> None:
    known = name.lower().replace("_", "-")
    assert talk.do(f"/set {name} {value}") == f"{known}: {shown}"
    assert talk.do(f"/set {name}") == f"{known}: {shown}"
    assert talk.do(f"/set {name} Auto") == f"{known}: auto"


def test_what_is_set_reaches_the_engine(talk: Talk) -> None:
    for line in ("/set temperature 0.5", "/set seed 3", "/set max_tokens 4"):
        talk.do(line)
    talk.ask("one")
    request = talk.desk.engine.requests[-1]
    assert (request.sampling.temperature, request.sampling.seed, request.max_tokens) == (0.5, 3, 4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/set temperature -1", "temperature -1.0 is out of range: it must be 0, or from 0.0001 to 10000"),
        ("/set top_p 2", "top-p 2.0 is out of range: it must be between 0.0001 and 1"),
        ("/set temperature nan", "temperature nan is out of range"),
        ("/set temperature hot", "temperature 'hot' is no number: it must be"),
        ("/set top_k 1.5", "top-k '1.5' is no number: it must be a whole number"),
        ("/set seed -1", "seed -1 is out of range"),
        ("/set max_tokens 0", "max-tokens 0 is out of range"),
        ("/set thinking perhaps", "thinking 'perhaps' is not known: it must be on or off"),
        ("/set reasoning on", "reasoning 'on' is not known: it must be show or hide"),
        ("/set markdown auto", "markdown 'auto' is not known: it must be off or on"),
        ("/set stop ''", "stop must not be empty"),
        ('/set stop "open', "A quotation mark is not closed"),
        ("/set schema nowhere.json", "There is no file 'nowhere.json'"),
        ("/set temprature 1", "There is no setting 'temprature'; did you mean temperature?"),
        ("/set temp 1", "There is no setting 'temp'; did you mean temperature?"),
        ("/set zzz 1", "There is no setting 'zzz'; '/help set' lists"),
    ],
)
def test_what_cannot_be_set_is_told_and_changes_nothing(
    line: str, message: str, talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    talk.do("/set stop KEPT")
    before = talk.do("/set")
    with pytest.raises(ValidationError) as raised:
        talk.do(line)
    assert message in raised.value.message
    assert talk.do("/set") == before


def test_stops_are_words_or_texts_in_quotes_and_replace_those_of_before(talk: Talk) -> None:
    talk.do("/set stop FIRST")
    assert talk.do(r"""/set stop END "two words" '\n' \t\\x # "it's" """) == (
        r'stop: "END" "two words" "\n" "\t\\x" "#" "it' + "'" + 's"'
    )
    assert list(talk.chat.settings.stops) == ["END", "two words", "\n", "\t\\x", "#", "it's"]
    assert talk.do("/set stop off") == "stop: off"
    assert not talk.chat.settings.stops


def test_a_stop_ends_answers(talk: Talk) -> None:
    talk.do("/set stop ser")
    talk.ask("one")
    assert talk.screen.answers == ["1 u"]


def test_thinking_is_switched_where_the_model_has_a_switch() -> None:
    talk = Talk(info=THINKER)
    assert talk.do("/set thinking off") == "thinking: off"
    assert talk.do("/set thinking on") == "thinking: on"
    assert talk.chat.settings.thinking is True
    assert talk.do("/set thinking auto") == "thinking: auto"
    assert talk.chat.settings.thinking is None


def test_a_model_that_cannot_think_is_not_told_to(talk: Talk) -> None:
    with pytest.raises(ValidationError, match="cannot be told to think"):
        talk.do("/set thinking on")
    assert talk.chat.settings.thinking is None
    talk.ask("one")


def test_to_try_a_setting_asks_the_engine_nothing() -> None:
    talk = Talk(info=THINKER)
    talk.do("/set thinking on")
    assert talk.desk.engine.requests == []
    assert talk.chat.messages == ()


def test_a_conversation_without_room_does_not_keep_a_setting_from_changing() -> None:
    talk = Talk(info=THINKER._replace(context_length=60))
    talk.ask("a question of some length")
    assert talk.do("/set thinking off") == "thinking: off"


def test_the_line_end_of_a_schema_file_is_not_shown(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "form.json").write_text('{"type": "object"}\n')
    assert talk.do(f"/set schema {tmp_path}/form.json") == 'schema: {"type": "object"}'


def test_answers_are_held_to_the_schema_in_a_file(talk: Talk, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {}}
    (tmp_path / "my form.json").write_text(json.dumps(schema))
    assert talk.do(f"/set schema {tmp_path}/my form.json") == f"schema: {json.dumps(schema)}"
    talk.ask("one")
    assert json.loads(talk.screen.answers[-1]) == schema
    assert talk.do("/set schema off") == "schema: off"
    talk.ask("two")
    assert talk.screen.answers[-1] == "3 user: two"


@pytest.mark.parametrize("content", ["{", "[]", "3"])
def test_what_is_no_schema_is_told_at_once(content: str, talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "form.json").write_text(content)
    with pytest.raises(ValidationError, match="schema"):
        talk.do(f"/set schema {tmp_path}/form.json")
    assert talk.chat.settings.structure is None


@pytest.mark.parametrize("command", ["/system", "/set system"])
def test_the_system_text_comes_before_the_conversation(command: str, talk: Talk) -> None:
    assert talk.do(command) == "system: off"
    assert talk.do(f"{command} Be  brief.") == "system: Be  brief."
    talk.ask("one")
    assert talk.screen.answers == ["2 user: one"]
    assert talk.do(f"{command} off") == "system: off"
    assert talk.chat.system is None


def test_a_system_text_of_several_lines_is_shown_whole(talk: Talk) -> None:
    text = "First " * 20 + "\n  second"
    assert talk.do(f'/system """\n{text}\n"""') == f"system: {text}"
    assert talk.chat.system == text
    assert talk.do("/system") == f"system: {text}"


def test_what_the_screen_shows_can_be_set(talk: Talk) -> None:
    assert talk.do("/set reasoning hide") == "reasoning: hide"
    assert talk.do("/set markdown off") == "markdown: off"
    assert (talk.screen.show_reasoning, talk.screen.plain) == (False, True)
    talk.do("/set reasoning SHOW")
    talk.do("/set markdown on")
    assert (talk.screen.show_reasoning, talk.screen.plain) == (True, False)


def test_show_says_what_holds_now(tmp_path: Path) -> None:
    talk = Talk(info=MEMORY_INFO._replace(context_length=500), system="Be brief.")
    (tmp_path / "a.txt").write_text("a")
    talk.ask("one")
    talk.do("/set temperature 0.5")
    talk.do("/set stop END")
    talk.do(f"/attach {tmp_path}/a.txt")
    assert talk.do("/show") == "\n".join(
        (
            f"Model         org/tiny@{talk.chat.commit[:8]}, in this process",
            f"Conversation  1 question, {talk.chat.prompt_tokens()} of 500 tokens",
            "System        Be brief.",
            'Settings      temperature 0.5, stop "END"',
            "Screen        reasoning show, markdown on",
            f"Files         {tmp_path}/a.txt",
        )
    )


def test_show_before_anything_was_said(talk: Talk) -> None:
    assert talk.do("/show").splitlines()[1:] == [
        "Conversation  0 questions, 0 of 2048 tokens",
        "System        off",
        "Settings      as the model recommends",
        "Screen        reasoning show, markdown on",
    ]
