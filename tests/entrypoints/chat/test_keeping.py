"""`/save`, `/load` and `/sessions`."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemorySessions
from mlxk2.adapters.sessions import FileSessions
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.testing.contracts.sessions import CONVERSATION
from tests.entrypoints.chat.talking import Talk


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_what_is_saved_can_be_gone_on_with_in_another_chat(tmp_path: Path) -> None:
    talk = Talk(store=FileSessions(str(tmp_path)), system="Be brief.")
    talk.do("/set stop END")
    talk.ask("one", "two")
    said = talk.do("/save Trees")
    assert said == f"Saved as 'trees' ({tmp_path}/mlxk2/chats/trees.json)."

    later = Talk(store=FileSessions(str(tmp_path)))
    assert later.do("/load trees").splitlines() == ["Loaded 'trees', 2 questions.", "The last one was: two"]
    assert later.chat.messages == talk.chat.messages
    assert (later.chat.system, later.chat.settings) == ("Be brief.", talk.chat.settings)
    later.ask("three")
    assert later.screen.answers == ["6 user: three"]


def test_saving_again_what_has_grown_asks_nothing(talk: Talk) -> None:
    talk.ask("one")
    talk.do("/save trees")
    talk.ask("two")
    talk.do("/save trees")
    assert talk.screen.asked == []
    assert len(talk.store.load("trees").messages) == 4


def test_another_conversation_is_replaced_only_when_that_is_wanted(talk: Talk) -> None:
    talk.ask("one", "two")
    talk.do("/save trees")
    talk.do("/undo")
    assert talk.do("/save trees") == "Nothing was saved."
    assert talk.screen.asked == ["Another conversation is saved as 'trees'. Replace it?"]
    assert len(talk.store.load("trees").messages) == 4
    talk.screen.agrees = True
    assert talk.do("/save trees").startswith("Saved as 'trees'")
    assert len(talk.store.load("trees").messages) == 2


def test_what_cannot_be_read_is_not_replaced_without_a_question(talk: Talk) -> None:
    store = MemorySessions(CONVERSATION)
    store.damage("about-trees")
    talk.session.store = store
    talk.ask("one")
    assert talk.do("/save about-trees") == "Nothing was saved."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/save", "needs a title: /save TITLE"),
        ("/save last", "'last' is what every chat keeps itself as"),
        ("/save LAST", "'last' is what every chat keeps itself as"),
        ("/save ../../x", "cannot be a title"),
        ("/save two words", "cannot be a title"),
        ("/save trees", "nothing to save yet"),
        ("/load", "Which one?"),
        ("/load ../x", "cannot be a title"),
        ("/load about-treas", "did you mean about-trees"),
    ],
)
def test_what_cannot_be_saved_or_loaded_is_told(line: str, message: str) -> None:
    talk = Talk(store=MemorySessions(CONVERSATION))
    with pytest.raises(ValidationError) as raised:
        talk.do(line)
    assert message in raised.value.message
    assert talk.store.titles() == ("about-trees",)


def test_a_damaged_conversation_leaves_the_chat_as_it_was(talk: Talk) -> None:
    store = MemorySessions(CONVERSATION)
    store.damage("about-trees")
    talk.session.store = store
    talk.ask("one")
    with pytest.raises(OperationError, match="damaged"):
        talk.do("/load about-trees")
    assert talk.questions == ["one"]


def test_settings_that_there_are_not_leave_the_chat_as_it_was() -> None:
    talk = Talk(store=MemorySessions(replace(CONVERSATION, settings=(("mood", "good"),))))
    with pytest.raises(ValidationError, match="no setting 'mood'"):
        talk.do("/load about-trees")
    assert talk.chat.messages == ()


def test_a_conversation_that_is_not_saved_is_left_only_when_that_is_wanted() -> None:
    talk = Talk(store=MemorySessions(CONVERSATION))
    talk.ask("one")
    assert talk.do("/load about-trees") == "Nothing was loaded."
    assert talk.screen.asked == ["This conversation is not saved (/save TITLE does). Leave it?"]
    assert talk.questions == ["one"]
    talk.screen.agrees = True
    assert talk.do("/load about-trees").startswith("Loaded 'about-trees', 2 questions.")
    assert talk.chat.messages == CONVERSATION.messages


def test_one_that_is_saved_is_left_without_a_question() -> None:
    talk = Talk(store=MemorySessions(CONVERSATION))
    talk.desk.clock.advance(1)
    talk.ask("one")
    talk.do("/save trees")
    assert talk.do("/load about-trees").startswith("Loaded")
    assert talk.do("/load trees").startswith("Loaded")
    assert talk.screen.asked == []


def test_the_model_of_before_is_named_when_it_is_another() -> None:
    talk = Talk(store=MemorySessions(CONVERSATION, replace(CONVERSATION, title="mine", model="org/tiny@abc")))
    assert talk.do("/load about-trees").splitlines()[-1] == (
        f"It was held with {CONVERSATION.model}; /model {CONVERSATION.model} goes on with that one."
    )
    assert "held with" not in talk.do("/load mine")


def test_sessions_are_listed_the_newest_first() -> None:
    now = time.time()
    store = MemorySessions(
        replace(CONVERSATION, saved=now - 7300, model="org/tiny"),
        replace(CONVERSATION, title="last", messages=CONVERSATION.messages[:2], saved=now - 30, model="org/other"),
        replace(CONVERSATION, title="broken", saved=now - 3600),
    )
    store.damage("broken")
    assert Talk(store=store).do("/sessions").splitlines() == [
        "last         just now, 1 question, org/other",
        "broken       cannot be read",
        "about-trees  2h ago, 2 questions, org/tiny",
    ]


def test_before_the_first_one_sessions_says_how_to_save(talk: Talk) -> None:
    assert talk.do("/sessions") == "No conversation is saved yet; /save TITLE saves this one."
