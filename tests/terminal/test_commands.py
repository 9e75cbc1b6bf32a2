"""The chat's commands as people type them."""

import base64
import os
import re
import signal
import subprocess
from pathlib import Path

from tests.terminal.conftest import PROMPT, Chat
from tests.terminal.tmux import Tmux

LIST_QUESTION = "How do I list my models?"
LIST_ANSWER = "list the models in your cache"
SUM = "what is 2 + 3?"
SUM_ANSWER = "2 + 3 is 5"


def said(terminal: Tmux, command: str, text: str) -> str:
    """The screen once a command has said this, and the prompt is back."""
    terminal.say(command)
    return terminal.wait(lambda screen: text in screen and screen.endswith("(/help for help)"))


def tmux(folder: Path, *words: str) -> str:
    """What tmux says of the first terminal."""
    command = ["tmux", "-S", str(folder / "0" / "tmux"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_help_and_settings_fit_into_60_columns(chat: Chat) -> None:
    terminal = chat(columns=60, rows=60)
    terminal.wait(PROMPT)
    screen = said(terminal, "/help", "/quit")
    assert "/sessions  list the saved conversations\n/model     show the model" in screen
    screen = said(terminal, "/help set", "without stop")
    assert "seed                a whole number from 0 to 2^64-1\nmax-tokens " in screen
    said(terminal, "/set temprature 1", "There is no setting 'temprature'; did you mean temperature?")
    said(terminal, "/sessionz", "There is no command '/sessionz'; did you mean /sessions?")


def test_a_question_is_written_in_the_editor(chat: Chat) -> None:
    terminal = chat(EDITOR="vi -u NONE")
    terminal.wait(PROMPT)
    terminal.say("/edit How do I list")
    terminal.wait(lambda screen: screen.startswith("How do I list\n~"))
    terminal.type("A my models?")
    terminal.press("Escape")
    terminal.say(":wq")
    screen = terminal.wait(lambda screen: LIST_ANSWER in screen and screen.endswith("(/help for help)"))
    assert "\nHow do I list my models?\n" in screen


def test_an_editor_that_reads_lines_gets_them_from_the_keyboard(chat: Chat, folder: Path) -> None:
    editor = folder / "editor"
    editor.write_text('#!/bin/sh\nprintf "Your line: "\nread -r line\necho "$line" >"$1"\n')
    editor.chmod(0o700)
    terminal = chat(EDITOR=str(editor))
    terminal.wait(PROMPT)
    terminal.say("/edit")
    terminal.wait("Your line:")
    terminal.say(LIST_QUESTION)
    assert f"Your line: {LIST_QUESTION}" in terminal.wait(LIST_ANSWER)


def test_a_conversation_is_saved_and_gone_on_with_in_another_chat(chat: Chat) -> None:
    first = chat()
    first.wait(PROMPT)
    said(first, SUM, SUM_ANSWER)
    said(first, "/save ../sums", "cannot be a title")
    said(first, "/save sums", "Saved as 'sums'")
    first.say("/quit")
    assert first.exit_code() == 0

    second = chat()
    second.wait(PROMPT)
    said(second, LIST_QUESTION, LIST_ANSWER)
    second.say("/load sums")
    second.wait("Leave it? [y/N]")
    second.say("y")
    second.wait("The last one was: what is 2 + 3?")
    said(second, "/show", "Conversation  1 question")
    said(second, "/undo", "Taken back, with its answer: what is 2 + 3?")
    said(second, "/sessions", "sums  just now, 1 question, mlxk2/demo")


def test_a_chat_that_is_killed_is_there_to_be_gone_on_with(chat: Chat, folder: Path) -> None:
    terminal = chat("--local")
    terminal.wait(PROMPT)
    said(terminal, "/set temperature 0.0", "temperature: 0.0")
    said(terminal, SUM, SUM_ANSWER)
    (shell,) = tmux(folder, "list-panes", "-F", "#{pane_pid}").split()
    for pid in subprocess.run(["pgrep", "-P", shell], capture_output=True, check=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    assert terminal.exit_code() == 128 + signal.SIGKILL

    again = chat("--continue", model=None)
    again.wait(lambda screen: SUM_ANSWER in screen and PROMPT in screen)
    assert "Conversation  1 question" in said(again, "/show", "Settings      temperature 0.0")


def test_the_last_answer_is_copied_to_tmux(chat: Chat, folder: Path) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    said(terminal, "/copy", "There is no answer to copy yet")
    said(terminal, SUM, SUM_ANSWER)
    said(terminal, "/copy", "The last answer is on the clipboard (tmux).")
    assert SUM_ANSWER in tmux(folder, "show-buffer")


def test_the_last_answer_is_copied_by_the_terminal(chat: Chat) -> None:
    terminal = chat(TMUX="", DISPLAY="", WAYLAND_DISPLAY="", SSH_TTY="/dev/pts/0")
    terminal.wait(PROMPT)
    said(terminal, SUM, SUM_ANSWER)
    file = terminal.record()
    said(terminal, "/copy", "The last answer was sent to the terminal's clipboard")
    terminal.wait(lambda _: b"(/help for help)" in file.read_bytes())
    codes = re.findall(rb"\x1b]52;c;([A-Za-z0-9+/=]+)\x07", file.read_bytes())
    assert [SUM_ANSWER in base64.b64decode(code).decode() for code in codes] == [True]
