"""The contract of `SessionStore`: what was saved comes back whole, under its title and under no other."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace

import pytest

from mlxk2.ports.conversation import Message, ToolCall
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.sessions import LONGEST_TITLE, Conversation, SessionStore

CONVERSATION = Conversation(
    title="about-trees",
    model="org/model@0123456789abcdef0123456789abcdef01234567",
    system="Answer in verse.",
    messages=(
        Message("user", 'What is a "tree"?\n\tA \x1b[31mred\x1b[0m one: 🌳 é \u2028'),
        Message("assistant", "A graph without circles.", "They may mean either."),
        Message("user", ""),
        Message("assistant", "", tool_calls=(ToolCall("grow", '{"metres": 3}', "call-1"),)),
        Message("tool", "grown", tool_call_id="call-1"),
    ),
    settings=(("temperature", "0.7"), ("stop", "\n\n"), ("stop", "END")),
    saved=1_700_000_000.5,
)
BAD_TITLES = (
    "",
    ".",
    "..",
    ".hidden",
    "-x",
    "../up",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "a b",
    "a\0b",
    "a\nb",
    "~",
    "a\x1b[2J",
    "\ud800",
    "x" * (LONGEST_TITLE + 1),
)


class SessionsContract:
    """Subclasses supply an empty `store`; `others` sees the same from another program, `damage` harms what is kept."""

    @pytest.fixture
    def store(self, request: pytest.FixtureRequest) -> SessionStore:
        raise NotImplementedError(request)

    @pytest.fixture
    def others(self, store: SessionStore) -> SessionStore:
        return store

    @pytest.fixture
    def damage(self, request: pytest.FixtureRequest) -> Callable[[str], None]:
        raise NotImplementedError(request)

    def test_a_conversation_comes_back_as_it_was(self, store: SessionStore, others: SessionStore) -> None:
        path = store.save(CONVERSATION)
        assert others.load("about-trees") == CONVERSATION
        assert os.path.isabs(path)
        assert "about-trees" in path

    @pytest.mark.parametrize("title", ["a", "7", "a.b", "A-b_C.d", "große-bäume", "木", "x" * LONGEST_TITLE])
    def test_letters_digits_and_three_signs_make_a_title(self, title: str, store: SessionStore) -> None:
        store.save(replace(CONVERSATION, title=title))
        assert store.load(title) == replace(CONVERSATION, title=title.lower())
        assert store.titles() == (title.lower(),)

    @pytest.mark.parametrize("title", ["木" * LONGEST_TITLE, "𝔘" * LONGEST_TITLE])
    def test_the_longest_title_may_be_of_any_letters(self, title: str, store: SessionStore) -> None:
        store.save(replace(CONVERSATION, title=title))
        assert store.load(title).messages == CONVERSATION.messages

    def test_titles_differ_by_more_than_case_and_composition(self, store: SessionStore) -> None:
        store.save(replace(CONVERSATION, title="Baum"))
        store.save(replace(CONVERSATION, title="BAUM", system=None))
        store.save(replace(CONVERSATION, title="ba\u0308ume"))
        assert {*store.titles()} == {"baum", "b\u00e4ume"}
        assert store.load("baum").system is None

    @pytest.mark.parametrize("title", BAD_TITLES)
    def test_no_other_title_is_taken(self, title: str, store: SessionStore) -> None:
        with pytest.raises(ValidationError):
            store.save(replace(CONVERSATION, title=title))
        with pytest.raises(ValidationError):
            store.load(title)
        assert store.titles() == ()

    def test_saving_again_takes_the_place_of_what_was(self, store: SessionStore, others: SessionStore) -> None:
        store.save(CONVERSATION)
        store.save(replace(CONVERSATION, messages=CONVERSATION.messages[:2]))
        assert others.load("about-trees").messages == CONVERSATION.messages[:2]
        assert others.titles() == ("about-trees",)

    def test_the_one_that_was_saved_last_comes_first(self, store: SessionStore, others: SessionStore) -> None:
        assert store.titles() == ()
        for title, saved in (("b", 2.0), ("c", 3.25), ("a", 1.0), ("d", 3.75)):
            store.save(replace(CONVERSATION, title=title, saved=saved))
        assert others.titles() == store.titles() == ("d", "c", "b", "a")

    def test_a_title_that_is_not_there_names_similar_ones(self, store: SessionStore) -> None:
        store.save(CONVERSATION)
        with pytest.raises(ValidationError, match=r"'about-treas'.*did you mean about-trees"):
            store.load("about-treas")
        with pytest.raises(ValidationError, match=r"'zzz'.*/sessions"):
            store.load("zzz")

    def test_one_that_is_damaged_is_told_and_can_be_saved_anew(
        self, store: SessionStore, damage: Callable[[str], None]
    ) -> None:
        store.save(CONVERSATION)
        damage("about-trees")
        with pytest.raises(OperationError, match=r"'about-trees'.*damaged"):
            store.load("about-trees")
        assert store.titles() == ("about-trees",)
        store.save(CONVERSATION)
        assert store.load("about-trees") == CONVERSATION

    def test_the_history_is_a_file_for_this_user_only(self, store: SessionStore, others: SessionStore) -> None:
        path = store.history_file()
        assert os.path.isabs(path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with open(path, "w", encoding="utf-8") as file:
            file.write("a question")
        assert others.history_file() == path
        with open(path, encoding="utf-8") as file:
            assert file.read() == "a question"
        assert store.titles() == ()
