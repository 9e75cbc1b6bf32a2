"""The chat in this process, on memory adapters and a terminal that cannot move its cursor."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryCache, MemoryEngine, MemorySessions
from mlxk2.entrypoints.cli.chat import converse
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.entrypoints.cli.chat.waiting import Waiting
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.parser import build_parser
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import Loading, LoadOptions, Markers, Watch, unwatched
from mlxk2.ports.errors import AccessProblem, EngineFailure, ModelNotFound, ServerGone, ValidationError
from mlxk2.ports.sessions import Conversation
from mlxk2.testing import healthy_model, memory_program
from tests.entrypoints.chat.screens import MemoryTerminalFile

Chat = Callable[..., str]
THINKING = MEMORY_INFO._replace(markers=Markers(think_start="<think>", think_end="</think>"))


def echo(prompt: str) -> str:
    return f"[{prompt}]"


def program(
    script: Callable[[str], str] = echo, *, engine: MemoryEngine | None = None, sessions: MemorySessions | None = None
) -> Callable[[], Services]:
    return memory_program(MemoryCache([healthy_model()]), engine or MemoryEngine(script), sessions=sessions)


def chatted(
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    services: Callable[[], Services],
    *options: str,
    model: str = "tiny",
    file: MemoryTerminalFile | None = None,
) -> str:
    """What the screen of a dumb terminal holds after these lines were typed."""
    file = file or MemoryTerminalFile()
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    args = build_parser().parse_args(["run", *([model] if model else []), *options])
    args.environ = {"TERM": "dumb"}
    assert converse(args, services, Output(json=False, jsonl=False, environ=args.environ, out=file, err=file)) == 0
    return file.getvalue()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Chat:
    return lambda typed, services, *options, **more: chatted(monkeypatch, typed, services, *options, **more)


def test_every_question_is_asked_with_those_before(chat: Chat) -> None:
    assert chat("one\n\ntwo\n", program()) == (
        ">>> [user: one\n]\n\n>>> >>> [user: one\nassistant: [user: one\n]\nuser: two\n]\n\n>>> "
    )


def test_commands_leave_and_a_path_is_a_question(chat: Chat) -> None:
    assert chat("/usr/bin is what?\n/quit\nnever asked\n", program(lambda _: "A folder.")) == (">>> A folder.\n\n>>> ")
    assert "There is no command '/hlep'; did you mean /help?\n>>> " in chat("/hlep\n", program())


def test_quotes_make_several_lines_one_question(chat: Chat) -> None:
    sessions = MemorySessions()
    shown = chat('"""one\ntwo"""\n"""/help"""\n', program(lambda _: "Yes.", sessions=sessions))
    assert shown == ">>> ... Yes.\n\n>>> Yes.\n\n>>> "
    assert [m.content for m in sessions.load("last").messages] == ["one\ntwo", "Yes.", "/help", "Yes."]


def test_the_conversation_is_kept_and_gone_on_with(chat: Chat) -> None:
    sessions = MemorySessions()
    chat("one\n", program(lambda _: "First.", sessions=sessions), "--system", "Be kind", "--seed", "7")
    kept = sessions.load("last")
    assert (kept.system, kept.settings) == ("Be kind", (("seed", "7"),))
    shown = chat("two\n", program(echo, sessions=sessions), "--continue", "--seed", "8", model="")
    assert shown.startswith(
        "Going on with 'last': 1 question so far\n>>> one\nFirst.\n\n>>> [system: Be kind\nuser: one"
    )
    assert [m.content for m in sessions.load("last").messages][:3] == ["one", "First.", "two"]
    assert sessions.load("last").settings == (("seed", "8"),)


def test_what_cannot_be_gone_on_with_is_said_before_anything_is_loaded(chat: Chat) -> None:
    with pytest.raises(ValidationError, match="no chat to go on with"):
        chat("", program(), "--continue", model="")


def test_a_chat_that_cannot_be_kept_goes_on_and_says_so_once(chat: Chat) -> None:
    class Full(MemorySessions):
        def save(self, _: Conversation) -> NoReturn:
            raise AccessProblem("The disk is full")

    shown = chat("one\ntwo\n", program(lambda _: "Yes.", sessions=Full()))
    assert shown.count("The disk is full; this conversation will not be there for --continue\n") == 1
    assert shown.count("Yes.") == 2


def test_an_answer_that_fails_is_told_and_not_kept(chat: Chat) -> None:
    def fail(_: str) -> str:
        raise EngineFailure("The engine broke")

    sessions = MemorySessions()
    assert chat("one\n", program(fail, sessions=sessions)) == (
        ">>> The engine broke (the question was not kept)\n\n>>> "
    )
    assert sessions.titles() == ()


def test_an_answer_that_its_server_takes_with_it_is_to_be_asked_for_again(chat: Chat) -> None:
    def fail(prompt: str) -> str:
        if len(asked) == 1:
            return "Yes."
        asked.append(prompt)
        raise ServerGone("The server has ended")

    asked: list[str] = []
    assert chat("one\none\n", program(fail)) == (
        ">>> The server has ended (the question was not kept; ask it again: the chat goes on, if need be without that"
        " server)\n\n>>> Yes.\n\n>>> "
    )


def test_an_empty_answer_is_told_and_not_kept(chat: Chat) -> None:
    assert "(the model gave no answer; the question was not kept)" in chat("one\n", program(lambda _: " "))


def test_an_answer_that_was_cut_off_with_its_model_is_told(chat: Chat) -> None:
    def unloaded(_: str) -> str:
        engine.close()
        return "Hello"

    engine = MemoryEngine(unloaded)
    shown = chat("one\n", program(engine=engine))
    assert "(the model was unloaded before the answer was complete; " in shown


def test_a_limit_is_told(chat: Chat) -> None:
    shown = chat("one\n", program(lambda _: "Hello"), "--max-tokens", "3")
    assert shown == ">>> Hel\n(ended after 3 tokens, the limit of this answer)\n\n>>> "


def test_an_answer_that_fills_the_context_is_told_with_the_way_on(chat: Chat) -> None:
    shown = chat("one\n", program(lambda _: "x" * 3000))
    assert shown.endswith(
        "xx\n(ended after 2038 tokens: the model's context of 2048 is full; /undo takes back the last turn,"
        " /clear begins anew)\n\n>>> "
    )


def test_reasoning_that_fills_the_context_is_told_and_not_kept(chat: Chat) -> None:
    engine = MemoryEngine(lambda _: "<think>" + "x" * 3000, info=THINKING)
    shown = chat("one\n", program(engine=engine), "--hide-reasoning")
    assert "the model's context of 2048 is full; the question was not kept)\n" in shown


def test_a_question_beyond_the_context_is_told_with_the_way_on(chat: Chat) -> None:
    shown = chat(f"{'x' * 3000}\nshort\n{'x' * 3000}\n", program(lambda _: "Yes."))
    holds = "tokens, and the model's context holds 2048 with the answer;"
    assert f">>> The question has 3007 {holds} ask a shorter one\n>>> Yes." in shown
    assert f">>> The conversation and the question together have 3035 {holds} /undo takes back the last turn" in shown


def test_a_model_that_is_not_there_is_raised(chat: Chat) -> None:
    with pytest.raises(ModelNotFound):
        chat("one\n", program(), model="nobody")


def test_reasoning_is_told_apart(chat: Chat) -> None:
    engine = MemoryEngine(lambda _: "<think>Hm.\n</think>\nYes.", info=THINKING)
    assert chat("one\n", program(engine=engine)) == (">>> Thinking ...\nHm.\n... done thinking.\n\nYes.\n\n>>> ")
    assert chat("one\n", program(engine=engine), "--hide-reasoning") == ">>> Yes.\n\n>>> "


def test_files_go_with_the_first_question(chat: Chat, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n")
    shown = chat("what?\nand?\n", program(), "--attach", str(file))
    assert shown.split(">>> ")[1].startswith(f"[user: {file}:\n```\nbuy milk\n```\n\nwhat?")
    assert shown.split(">>> ")[2].count("buy milk") == 2  # echoed question and answer of before, not attached again
    with pytest.raises(ValidationError, match="no file"):
        chat("what?\n", program(), "--attach", str(tmp_path / "none"))


def test_files_of_a_question_that_was_not_kept_go_with_the_next_one(chat: Chat, tmp_path: Path) -> None:
    def once_broken(prompt: str) -> str:
        questions.append(prompt)
        if len(questions) == 1:
            raise EngineFailure("The engine broke")
        return "Yes."

    questions: list[str] = []
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n")
    chat("what?\nwhat?\nand?\n", program(once_broken), "--attach", str(file))
    assert [prompt.count("buy milk") for prompt in questions] == [1, 1, 1]  # the last one has those before in it
    assert questions[0] == questions[1]


def test_statistics_are_shown_when_asked_for(chat: Chat) -> None:
    shown = chat("one\n", program(lambda _: "Yes."), "--verbose")
    assert "(10 prompt tokens, 0 of them from the cache, 5 generated, 16.0 tokens/s" in shown


def test_ctrl_c_at_the_prompt_says_how_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = io.StringIO()
    left = [KeyboardInterrupt, None]

    def readline(_: int = -1) -> str:
        if error := left.pop(0):
            raise error
        return ""

    file = MemoryTerminalFile()
    monkeypatch.setattr(keyboard, "readline", readline)
    monkeypatch.setattr(sys, "stdin", keyboard)
    args = build_parser().parse_args(["run", "tiny"])
    args.environ = {}
    assert converse(args, program(), Output(json=False, jsonl=False, environ={}, out=file, err=file)) == 0
    assert file.getvalue() == ">>> (Ctrl-D or /quit leaves)\n>>> "


def test_ctrl_c_while_the_model_loads_is_no_success(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no line can be typed meanwhile it ends the program, as it ends a run."""

    class Waiting(MemoryEngine):
        def load(self, _options: LoadOptions, _watch: Watch = unwatched) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            left.wait(60)

    left = threading.Event()
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with pytest.raises(KeyboardInterrupt):
        chat("", program(engine=Waiting(echo)))
    left.set()
    assert exits == []


def test_a_model_that_takes_its_time_is_told_once(chat: Chat) -> None:
    class Slow(MemoryEngine):
        def load(self, options: LoadOptions, watch: Watch = unwatched) -> None:
            watch(Loading("weights"))
            time.sleep(1.2)
            super().load(options, watch)

    assert chat("", program(engine=Slow(echo))) == "Loading the model ...\n>>> "


class Late(MemoryEngine):
    """Is not ready for the first question before the terminal says that it is waited for; `then` comes next."""

    def __init__(self, file: MemoryTerminalFile, then: Callable[[], object] = lambda: None) -> None:
        super().__init__(lambda _: "Yes.")
        self._file = file
        self._then: list[Callable[[], object]] = [then]

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        if self._then:
            wait_for(self._file, "Waiting for the model")
            self._then.pop()()
        return super().render(messages, tools, options)


def wait_for(file: MemoryTerminalFile, text: str) -> None:
    end = time.monotonic() + 60
    while text not in file.getvalue():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("again", ["one", "/retry", "/tokens"])
def test_a_model_that_is_loaded_again_for_a_question_is_waited_for_with_a_note(chat: Chat, again: str) -> None:
    file, sessions = MemoryTerminalFile(), MemorySessions()
    kept = (Message("user", "a cat?"), Message("assistant", "Yes."))
    sessions.save(Conversation("last", "tiny", None, kept, (), 1.0))
    engine = Late(file)
    shown = chat(f"{again}\n", program(engine=engine, sessions=sessions), "--continue", model="", file=file)
    assert ">>> Waiting for the model ...\n" in shown
    assert shown.split("...\n")[1] in ("Yes.\n\n>>> ", "The conversation takes 29 of 2048 tokens.\n>>> ")


def test_ctrl_c_while_the_model_is_waited_for_leaves_the_question(chat: Chat) -> None:
    file, sessions = MemoryTerminalFile(), MemorySessions()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    shown = chat("one\ntwo\n", program(engine=Late(file, interrupt), sessions=sessions), file=file)
    assert shown == (">>> Waiting for the model ...\n(stopped; the question was not kept)\n\n>>> Yes.\n\n>>> ")
    assert [message.content for message in sessions.load("last").messages] == ["two", "Yes."]


def test_where_the_cursor_moves_the_note_goes_when_the_wait_is_over() -> None:
    file = MemoryTerminalFile()
    with Waiting(Terminal(file, moves=True, colour=False)):
        wait_for(file, "Waiting for the model … 1 s")
    assert file.rows() == [""]


def test_an_old_answer_is_recalled_with_its_question_only(chat: Chat) -> None:
    sessions = MemorySessions()
    sessions.save(
        Conversation("pets", "tiny", None, (Message("user", "a cat?"), Message("assistant", "Yes.")), (), 1.0)
    )
    assert chat("", program(sessions=sessions), "--continue", "pets", model="") == (
        "Going on with 'pets': 1 question so far\n>>> a cat?\nYes.\n\n>>> "
    )
