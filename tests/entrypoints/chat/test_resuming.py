"""Which conversation `run --continue` goes on with."""

from dataclasses import replace

import pytest

from mlxk2.adapters.memory import MemorySessions
from mlxk2.entrypoints.cli.chat.resuming import resume
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.testing.contracts.sessions import CONVERSATION

LAST = replace(CONVERSATION, title="last", model="org/other")


def test_without_a_title_it_is_the_chat_that_was_held_last() -> None:
    assert resume(MemorySessions(CONVERSATION, LAST)) == LAST


def test_a_title_means_what_was_saved_under_it() -> None:
    assert resume(MemorySessions(CONVERSATION, LAST), "About-Trees") == CONVERSATION


def test_before_the_first_chat_there_is_nothing_to_go_on_with() -> None:
    with pytest.raises(ValidationError, match="no chat to go on with yet; begin one with: mlxk2 run"):
        resume(MemorySessions(CONVERSATION))


def test_a_title_that_is_not_there_names_similar_ones() -> None:
    with pytest.raises(ValidationError, match="did you mean about-trees"):
        resume(MemorySessions(CONVERSATION), "about-tree")
    with pytest.raises(ValidationError, match="as 'zzz'; /sessions in a chat lists"):
        resume(MemorySessions(CONVERSATION), "zzz")


def test_a_bad_title_is_told() -> None:
    with pytest.raises(ValidationError, match="cannot be a title"):
        resume(MemorySessions(), "../last")


def test_a_damaged_one_is_told() -> None:
    store = MemorySessions(LAST)
    store.damage("last")
    with pytest.raises(OperationError, match="damaged"):
        resume(store)
