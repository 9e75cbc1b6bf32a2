"""The commands of a chat, but for those of settings and of saved conversations."""

import json
import re
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MEMORY_INFO
from mlxk2.entrypoints.cli.chat.commands import COMMANDS, run_command
from mlxk2.entrypoints.cli.chat.editor import edit
from mlxk2.entrypoints.cli.chat.setting import MAY_BE
from mlxk2.ports.errors import ModelNotFound, ValidationError
from mlxk2.testing import healthy_model, with_files
from mlxk2.testing.models import CONFIG
from tests.entrypoints.chat.talking import Talk

HELP = """\
/help      say what there is, or more about one
/system    show or set what comes before the conversation
/set       show or change how answers are made and shown
/show      show model, conversation and settings
/clear     begin a new conversation
/undo      take back the last question with its answer
/retry     ask the last question again
/save      save the conversation under a title
/load      go on with a saved conversation
/sessions  list the saved conversations
/model     show the model, or go on with another
/edit      write the question in your editor
/attach    put text files into the next question
/copy      put the last answer on the clipboard
/tokens    say how long the conversation is
/quit      leave (Ctrl-D does, too)

Several lines: Alt-Enter, or \"\"\" before and after them.
Ctrl-C stops an answer; Tab completes a command."""


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the chat is held in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("line", ["/quit", "/exit", "/bye", "/Quit"])
def test_three_words_leave_the_chat(line: str, talk: Talk) -> None:
    assert run_command(line, talk.session) is False


@pytest.mark.parametrize("line", ["/help", "/?", "/HELP"])
def test_help_names_every_command_in_rows_for_a_narrow_window(line: str, talk: Talk) -> None:
    said = talk.do(line)
    assert said == HELP
    assert all(len(row) < 60 for row in said.splitlines())
    assert [row.split()[0] for row in said.splitlines()[: len(COMMANDS)]] == [f"/{name}" for name in COMMANDS]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/help save", "/save TITLE\nsave the conversation under a title"),
        ("/help /UNDO", "/undo\ntake back the last question with its answer"),
        ("/help exit", "/quit\nleave (Ctrl-D does, too)"),
    ],
)
def test_help_on_one_command_says_what_may_stand_after_it(line: str, said: str, talk: Talk) -> None:
    assert talk.do(line) == said


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("/hlep", "no command '/hlep'; did you mean /help?"),
        ("/sesions", "did you mean /sessions?"),
        ("/exti", "did you mean /exit?"),
        ("/zzz", "no command '/zzz'; /help lists"),
        ("/", "no command '/'; /help lists"),
        ("/help zzz", "no command '/zzz'"),
    ],
)
def test_a_command_that_there_is_not_is_told_with_a_near_one(line: str, hint: str, talk: Talk) -> None:
    with pytest.raises(ValidationError) as raised:
        run_command(line, talk.session)
    assert hint in raised.value.message


@pytest.mark.parametrize("name", ["show", "clear", "undo", "retry", "sessions", "copy", "tokens"])
def test_what_a_command_cannot_take_is_not_passed_over(name: str, talk: Talk) -> None:
    with pytest.raises(ValidationError, match=f"/{name} takes nothing after it"):
        run_command(f"/{name} 2", talk.session)


def test_clear_begins_anew_and_keeps_system_text_and_settings(files: Path) -> None:
    talk = Talk(system="Be brief.")
    (files / "a.txt").write_text("a")
    talk.ask("one")
    talk.do("/set seed 7")
    talk.do("/attach a.txt")
    assert talk.do("/clear") == "A new conversation begins; model, system text and settings stay."
    assert (talk.chat.messages, talk.session.attachments, talk.screen.cleared) == ((), [], 1)
    assert (talk.chat.system, talk.chat.settings.sampling.seed) == ("Be brief.", 7)


def test_undo_takes_back_one_turn_at_a_time(talk: Talk) -> None:
    talk.ask("one", "two\n" + "and more " * 20)
    assert talk.do("/undo").startswith("Taken back, with its answer: two and more and more")
    assert talk.questions == ["one"]
    assert talk.do("/undo") == "Taken back, with its answer: one"
    assert talk.chat.messages == ()
    with pytest.raises(ValidationError, match="nothing to take back"):
        talk.do("/undo")


def test_retry_replaces_the_last_answer(talk: Talk) -> None:
    talk.ask("one", "two")
    talk.do("/set stop user")
    talk.do("/retry")
    assert talk.screen.answers == ["1 user: one", "3 user: two", "3 "]
    assert [message.content for message in talk.chat.messages] == ["one", "1 user: one", "two", "3 "]


def test_retry_needs_a_question(talk: Talk) -> None:
    with pytest.raises(ValidationError, match="no question to ask again"):
        talk.do("/retry")


def test_tokens_says_how_long_the_conversation_is() -> None:
    talk = Talk(info=MEMORY_INFO._replace(context_length=500))
    assert talk.do("/tokens") == "The conversation takes 0 of 500 tokens."
    talk.ask("one")
    assert (
        talk.do("/tokens") == f"The conversation takes {len('user: one' + 'assistant: 1 user: one') + 2} of 500 tokens."
    )


def test_tokens_of_a_model_that_names_no_context() -> None:
    config = json.dumps({name: value for name, value in CONFIG.items() if name != "max_position_embeddings"})
    talk = Talk(with_files(healthy_model("org/tiny"), {"config.json": config.encode()}))
    assert talk.do("/tokens") == "The conversation takes 0 tokens of a context of unknown length."


def test_model_goes_on_with_another_one(talk: Talk) -> None:
    commit = talk.chat.commit
    assert talk.do("/model") == f"org/tiny@{commit[:8]}, in this process"
    talk.ask("one")
    said = talk.do("/model other").splitlines()
    assert said == ["Loading other …", f"org/other@{talk.chat.commit[:8]}, in this process"]
    talk.ask("two")
    assert talk.screen.answers[-1] == "3 user: two"


def test_a_model_that_there_is_not_leaves_the_chat_as_it_was(talk: Talk) -> None:
    talk.ask("one")
    with pytest.raises(ModelNotFound):
        talk.do("/model nowhere")
    talk.ask("two")
    assert (talk.chat.name, talk.questions) == ("org/tiny", ["one", "two"])


def test_ctrl_c_while_another_model_loads_keeps_the_one_that_is_there(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(talk.desk.loader, "load", stopped)
    assert talk.do("/model other").splitlines()[1:] == [
        "(stopped; the model is the one of before)",
        f"org/tiny@{talk.chat.commit[:8]}, in this process",
    ]


def test_edit_asks_what_the_editor_leaves_with_the_files_of_the_question(files: Path, talk: Talk) -> None:
    (files / "a.txt").write_text("contents")
    talk.do("/attach a.txt")
    talk.screen.edited = lambda text: edit(text, {"EDITOR": "sed -i -e s/begun/finished/"})
    assert talk.do("/edit begun") == "finished"
    assert talk.questions == ["a.txt:\n```\ncontents\n```\n\nfinished"]
    assert talk.session.attachments == []
    assert talk.do("/undo") == "Taken back, with its answer: finished"


def test_an_editor_that_leaves_nothing_asks_nothing(talk: Talk) -> None:
    talk.screen.edited = lambda _: None
    assert "nothing is asked" in talk.do("/edit")
    assert talk.chat.messages == ()


def test_attach_collects_files_for_the_next_question(files: Path, talk: Talk) -> None:
    for name in ("a.txt", "b c.txt", "d.txt"):
        (files / name).write_text(name)
    assert talk.do("/attach") == "No file goes with the next question; /attach FILE adds one."
    assert talk.do("/attach a.txt").startswith("1 file goes with the next question")
    assert talk.do("/attach b c.txt").endswith(
        "2 files go with the next question (/attach off takes back): a.txt, b c.txt"
    )
    talk.do("/attach a.txt 'b c.txt' d.txt")
    assert talk.session.attachments == ["a.txt", "b c.txt", "d.txt"]
    talk.do("/attach off")
    assert talk.session.attachments == []
    talk.do("/attach b\\ c.txt")
    assert talk.session.attachments == ["b c.txt"]


def test_a_path_may_begin_at_home(files: Path, talk: Talk) -> None:
    (files / "home").mkdir()
    (files / "home" / "a.txt").write_text("at home")
    talk.do("/attach ~/a.txt")
    assert talk.session.attachments == [str(files / "home" / "a.txt")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none.txt", "no file 'none.txt'"), ("binary", "binary data"), ("folder", "is a folder"), ("it's", "not closed")],
)
def test_a_file_that_cannot_go_with_a_question_is_told_at_once(name: str, reason: str, files: Path, talk: Talk) -> None:
    (files / "binary").write_bytes(b"\0\1")
    (files / "folder").mkdir()
    with pytest.raises(ValidationError, match=reason):
        talk.do(f"/attach {name}")
    assert talk.session.attachments == []


def test_copy_takes_the_last_answer(talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "wl-copy"
    program.write_text(f'#!/bin/sh\nexec cat > "{tmp_path}/copied"\n')
    program.chmod(0o700)
    for name in ("TMUX", "SSH_TTY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(ValidationError, match="no answer to copy yet"):
        talk.do("/copy")
    talk.ask("one", "two")
    assert talk.do("/copy") == "The last answer is on the clipboard (wl-copy)."
    assert (tmp_path / "copied").read_text() == "3 user: two"


def test_the_documents_name_every_command_and_setting() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (Path(__file__).parents[3] / "docs" / "chat.md").read_text(), re.MULTILINE)
    named = re.findall(r"`(/?)(\w+)", "\n".join(rows))
    assert {name for slash, name in named if slash} == {*COMMANDS, "exit", "bye"}
    assert {name.replace("_", "-") for slash, name in named if not slash} == {*MAY_BE}
