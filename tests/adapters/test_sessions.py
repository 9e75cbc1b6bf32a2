"""What is particular to conversations in files: whom they are readable to, crashes, and files of any content."""

import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.adapters.sessions import FileSessions
from mlxk2.adapters.sessions.record import Unreadable, read_record, write_record
from mlxk2.ports.conversation import Message
from mlxk2.ports.errors import AccessProblem, Mlxk2Error, OperationError, ValidationError
from mlxk2.ports.sessions import Conversation
from mlxk2.testing.contracts.sessions import CONVERSATION

KILLED_BEFORE_IT_IS_WHOLE = """
import os, signal, sys
from mlxk2.adapters.sessions import FileSessions
from mlxk2.testing.contracts.sessions import CONVERSATION
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
FileSessions(sys.argv[1]).save(CONVERSATION)
"""
NO_ROOM_FOR_IT = """
import resource, sys
from dataclasses import replace
from mlxk2.adapters.sessions import FileSessions
from mlxk2.ports.errors import AccessProblem
from mlxk2.testing.contracts.sessions import CONVERSATION
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    FileSessions(sys.argv[1]).save(replace(CONVERSATION, system="x" * 10_000))
except AccessProblem as problem:
    print(problem.message)
"""


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def store(tmp_path: Path) -> FileSessions:
    return FileSessions(str(tmp_path))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return tmp_path / "mlxk2" / "chats"


def record(**changed: Any) -> bytes:
    return json.dumps({**json.loads(write_record(CONVERSATION)), **changed}).encode()


def test_nobody_else_can_read_what_was_said(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = FileSessions(str(tmp_path / "new" / "state"))
        path = Path(store.save(CONVERSATION))
        history = store.history_file()
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent), mode(history)) == (0o600, 0o700, 0o600)


def test_a_history_that_others_could_read_is_closed_to_them(store: FileSessions) -> None:
    path = store.history_file()
    os.chmod(path, 0o644)
    assert mode(store.history_file()) == 0o600


def test_whoever_is_killed_while_saving_leaves_what_was_there(store: FileSessions, tmp_path: Path) -> None:
    store.save(replace(CONVERSATION, system="before"))
    command = [sys.executable, "-c", KILLED_BEFORE_IT_IS_WHOLE, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -9
    assert store.load("about-trees").system == "before"
    assert store.titles() == ("about-trees",)


def test_a_disk_without_room_leaves_what_was_there_and_nothing_else(
    store: FileSessions, tmp_path: Path, chats: Path
) -> None:
    store.save(CONVERSATION)
    command = [sys.executable, "-c", NO_ROOM_FOR_IT, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be saved" in said
    assert "XDG_STATE_HOME" in said
    assert store.load("about-trees") == CONVERSATION
    assert os.listdir(chats) == ["about-trees.json"]


def test_what_a_killed_program_left_is_taken_away_later(store: FileSessions, chats: Path) -> None:
    store.save(CONVERSATION)
    left, being_written = chats / ".saving-left", chats / ".saving-now"
    for path in (left, being_written):
        path.touch()
    os.utime(left, (time.time() - 7200,) * 2)
    store.save(CONVERSATION)
    assert (left.exists(), being_written.exists()) == (False, True)


def test_titles_are_told_of_conversations_only(store: FileSessions, chats: Path) -> None:
    store.save(CONVERSATION)
    for name in ("notes.txt", ".hidden.json", "Capital.json", "two words.json", ".json"):
        (chats / name).touch()
    (chats / "folder.json").mkdir()
    (chats / "gone.json").symlink_to("nowhere")
    assert store.titles() == ("about-trees",)


def test_a_file_of_another_name_has_that_title(store: FileSessions, chats: Path) -> None:
    os.rename(store.save(CONVERSATION), chats / "trees.json")
    assert store.load("trees") == replace(CONVERSATION, title="trees")


def test_fields_that_are_not_known_are_left_aside() -> None:
    assert read_record(record(mood="good")) == CONVERSATION


def test_a_file_of_a_newer_version_is_told_as_such(store: FileSessions) -> None:
    Path(store.save(CONVERSATION)).write_bytes(json.dumps({"format": 2}).encode())
    with pytest.raises(OperationError, match=r"'about-trees' \(.*about-trees\.json\) was saved by a newer.*update"):
        store.load("about-trees")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"format": 1}',
        b"[" * 100_000,
        record(format="1"),
        record(format=True),
        record(model=None),
        record(system=3),
        record(messages={}),
        record(messages=["hello"]),
        record(messages=[{"role": "judge", "content": ""}]),
        record(messages=[{"role": ["user"], "content": ""}]),
        record(messages=[{"role": "user", "content": None}]),
        record(settings=[["a"]]),
        record(settings=["ab"]),
        record(settings=[["a", 1]]),
        record(saved="yesterday"),
        record(saved=10**400),
    ],
)
def test_whatever_a_file_holds_there_is_one_sentence(content: bytes, store: FileSessions) -> None:
    Path(store.save(CONVERSATION)).write_bytes(content)
    with pytest.raises(OperationError, match=r"^The conversation 'about-trees' \(.*\) is damaged; delete the file"):
        store.load("about-trees")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["format", "messages", "role"]), inner),
    )
)
def test_any_json_is_a_conversation_or_unreadable(found: Any) -> None:
    with pytest.raises(Unreadable):
        read_record(json.dumps(found).encode())


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back_as_it_was(said: str, thought: str) -> None:
    conversation = Conversation("a", "m", said, (Message("assistant", said, thought),), ((thought, said),), 0.0)
    assert read_record(write_record(conversation)) == conversation


@pytest.mark.parametrize("what", ["file", "dangling"])
def test_a_folder_that_cannot_be_used_is_told_with_the_next_step(what: str, tmp_path: Path) -> None:
    place = tmp_path / "mlxk2"
    if what == "file":
        place.write_text("")
    else:
        place.symlink_to("nowhere")
    store = FileSessions(str(tmp_path))
    with pytest.raises(AccessProblem, match=r"cannot be saved.*XDG_STATE_HOME"):
        store.save(CONVERSATION)
    with pytest.raises(AccessProblem, match=r"history.*XDG_STATE_HOME"):
        store.history_file()
    with pytest.raises(Mlxk2Error):
        store.load("about-trees")


def test_a_conversation_in_the_place_of_which_there_is_a_folder_cannot_be_read(
    store: FileSessions, chats: Path
) -> None:
    (chats / "about-trees.json").mkdir(parents=True)
    with pytest.raises(AccessProblem, match="cannot be read"):
        store.load("about-trees")


def test_a_link_is_replaced_and_not_written_through(store: FileSessions, tmp_path: Path, chats: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    chats.mkdir(parents=True)
    (chats / "about-trees.json").symlink_to(mine)
    store.save(CONVERSATION)
    assert mine.read_text() == "precious"
    assert store.load("about-trees") == CONVERSATION


def test_nothing_is_made_by_looking(store: FileSessions, tmp_path: Path) -> None:
    assert store.titles() == ()
    with pytest.raises(ValidationError, match="/sessions in a chat lists"):
        store.load("last")
    assert os.listdir(tmp_path) == []
