"""A chat as people have it: typed, stopped, resized, left."""

import json
import re
from pathlib import Path

import pytest

from tests.terminal.conftest import PROMPT, Chat

LIST_QUESTION = "How do I list my models?"
LIST_ANSWER = "list the models in your cache"
RAMBLING = ("--temperature", "9", "--seed", "21", "--max-tokens", "1900")
STOPPED = "(stopped; what was answered so far is kept)"


def prompts(screen: str) -> int:
    return len(re.findall(r"^>>> ", screen, re.MULTILINE))


def questions(folder: Path) -> list[str]:
    """Those that the chat has kept for `--continue`."""
    kept = json.loads((folder / "state" / "mlxk2" / "chats" / "last.json").read_text())
    return [message["content"] for message in kept["messages"] if message["role"] == "user"]


def test_a_question_is_answered_and_the_next_one_knows_it(chat: Chat) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.say(LIST_QUESTION)
    screen = terminal.wait(lambda screen: LIST_ANSWER in screen and PROMPT in screen)
    assert screen.splitlines()[1] == f">>> {LIST_QUESTION}"
    terminal.say("what is 2 + 3?")
    screen = terminal.wait(lambda screen: "2 + 3 is 5" in screen and screen.endswith("/help for help)"))
    assert screen.count(LIST_ANSWER) == 1
    terminal.press("C-d")
    assert terminal.exit_code() == 0


def test_what_is_typed_while_the_model_loads_is_asked_when_it_is_there(chat: Chat) -> None:
    terminal = chat()
    terminal.wait(lambda screen: "Loading" in screen or PROMPT in screen)
    terminal.say("what is 2 + 3?")
    terminal.wait("2 + 3 is 5")


def test_the_second_question_pays_for_its_own_text_only(chat: Chat) -> None:
    terminal = chat("--verbose")
    terminal.wait(PROMPT)
    terminal.say(LIST_QUESTION)
    terminal.wait(" 0 of them from the cache")
    terminal.say("what is 2 + 3?")
    screen = terminal.wait(lambda screen: screen.count("from the cache") == 2)
    found = re.findall(r"\((\d+) prompt tokens, (\d+) of them", screen.replace("\n", " "))
    assert int(found[0][0]) < int(found[1][1]) < int(found[1][0])


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(chat: Chat) -> None:
    terminal = chat(*RAMBLING)
    terminal.wait(PROMPT)
    terminal.say("Once")
    terminal.wait(lambda screen: len(screen.splitlines()) > 4)
    terminal.press("C-c")
    terminal.wait(STOPPED)
    terminal.wait(PROMPT)
    terminal.press("C-c")
    terminal.wait("(Ctrl-D or /quit leaves)")
    terminal.type("half a line")
    terminal.press("C-c")
    terminal.wait(lambda screen: screen.splitlines()[-2:][0] == ">>> half a line" and PROMPT in screen)
    terminal.press("C-d")
    assert terminal.exit_code() == 0


def test_keys_that_are_typed_during_an_answer_wait_for_the_prompt(chat: Chat) -> None:
    terminal = chat(*RAMBLING)
    terminal.wait(PROMPT)
    terminal.say("Once")
    terminal.wait(lambda screen: len(screen.splitlines()) > 4)
    terminal.type("typed meanwhile")
    terminal.press("C-c")
    screen = terminal.wait(lambda screen: STOPPED in screen and screen.endswith(">>> typed meanwhile"))
    assert screen.count("typed meanwhile") == 1


def test_several_lines_in_three_quotes_and_with_alt_enter(chat: Chat, folder: Path) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.say('"""How do I')
    terminal.wait("\n...")
    terminal.say('list my models?"""')
    terminal.wait(lambda screen: PROMPT in screen.partition('>>> """How do I\n... list my models?"""\n')[2])
    terminal.type("How do I list")
    terminal.press("M-Enter")
    terminal.say("my models?")
    terminal.wait(lambda screen: PROMPT in screen.partition(">>> How do I list\n... my models?\n")[2])
    assert questions(folder) == ["How do I\nlist my models?", "How do I list\nmy models?"]


def test_pasted_lines_are_one_question(chat: Chat, folder: Path) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.paste("How do I list\nmy models?\n")
    terminal.wait("... my models?")
    assert prompts(terminal.screen()) == 1
    terminal.press("Enter")
    terminal.wait(PROMPT)
    assert questions(folder) == ["How do I list\nmy models?"]


def test_pasted_tabs_are_blanks_on_the_screen_and_tabs_in_the_question(chat: Chat, folder: Path) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.paste("if it:\n\tlist\n")
    terminal.wait(">>> if it:\n...     list")
    terminal.press("Enter")
    terminal.wait(PROMPT)
    assert questions(folder) == ["if it:\n\tlist"]


def test_what_ctrl_r_finds_stands_alone_in_its_line(chat: Chat) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.say("what is 2 + 3?")
    terminal.wait(lambda screen: "2 + 3 is 5" in screen and screen.endswith("/help for help)"))
    terminal.press("C-r")
    terminal.type("what")
    screen = terminal.wait("I-search backward: what")
    assert screen.splitlines()[-2] == ">>> what is 2 + 3?"


def test_history_outlives_the_chat_and_nobody_else_reads_it(chat: Chat, folder: Path) -> None:
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.say("what is 2 + 3?")
    terminal.wait("2 + 3 is 5")
    terminal.press("C-d")
    assert terminal.exit_code() == 0
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.press("Up")
    terminal.wait(">>> what is 2 + 3?")
    (history,) = folder.glob("state/mlxk2/chat-history")
    assert history.stat().st_mode & 0o777 == 0o600


def test_tab_completes_commands_and_files(chat: Chat, folder: Path) -> None:
    (folder / "notes-of-today.txt").write_text("x")
    terminal = chat()
    terminal.wait(PROMPT)
    terminal.type("/att")
    terminal.press("Tab")
    terminal.wait(">>> /attach")
    terminal.press("Space")
    terminal.type(f"{folder}/notes")
    terminal.press("Tab")
    terminal.wait(lambda screen: "notes-of-today.txt" in screen.replace("\n", ""))


def test_wide_characters_are_edited_by_character(chat: Chat) -> None:
    terminal = chat(columns=40)
    terminal.wait(PROMPT)
    terminal.type("漢字と仮名" * 5)
    terminal.press("BSpace", "BSpace")
    terminal.wait(lambda screen: screen.replace("\n", "").replace(" ", "") == "$chat>>>" + "漢字と仮名" * 4 + "漢字と")


def test_a_window_of_40_columns(chat: Chat) -> None:
    terminal = chat(columns=40, rows=12)
    terminal.wait(PROMPT)
    terminal.say(LIST_QUESTION)
    screen = terminal.wait(lambda screen: screen.endswith("/help for help)") and "your" in screen)
    assert screen.splitlines()[1:] == [
        f">>> {LIST_QUESTION}",
        "Use mlxk2 list to list the models in",
        "your cache.",
        "",
        ">>> Ask something  (/help for help)",
    ]


def test_without_colours_no_colour_is_written(chat: Chat) -> None:
    terminal = chat(NO_COLOR="1")
    terminal.wait(PROMPT)
    written = terminal.record()
    terminal.say(LIST_QUESTION)
    terminal.wait(lambda screen: LIST_ANSWER in screen and PROMPT in screen)
    terminal.press("C-d")
    assert terminal.exit_code() == 0
    assert not re.search(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m", written.read_bytes())


def test_a_dumb_terminal_gets_no_code_at_all(chat: Chat) -> None:
    terminal = chat(TERM="dumb")
    terminal.wait(">>>")
    written = terminal.record()
    terminal.say('"""')
    terminal.wait("\n...")
    terminal.say("How do I list my models?")
    terminal.say('"""')
    terminal.wait(lambda screen: LIST_ANSWER in screen and screen.endswith(">>>"))
    terminal.press("C-c")
    terminal.wait("(Ctrl-D or /quit leaves)")
    terminal.press("C-d")
    assert terminal.exit_code() == 0
    assert b"\x1b" not in written.read_bytes()


def test_a_terminal_that_is_not_utf8(chat: Chat) -> None:
    terminal = chat(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    terminal.wait(PROMPT)
    terminal.say(LIST_QUESTION)
    terminal.wait(lambda screen: LIST_ANSWER in screen and PROMPT in screen)
    terminal.press("C-d")
    assert terminal.exit_code() == 0


def test_a_model_that_is_not_there_is_one_sentence(chat: Chat) -> None:
    terminal = chat(model="no-such-model", columns=160)
    assert terminal.exit_code() == 1
    _, line = terminal.screen().splitlines()
    assert line.startswith("mlxk2: ")


def test_ctrl_d_leaves_at_once_also_while_the_model_loads(chat: Chat) -> None:
    terminal = chat()
    terminal.wait(lambda screen: "Loading" in screen or PROMPT in screen)
    terminal.press("C-d")
    assert terminal.exit_code() == 0


@pytest.mark.parametrize("columns", [80, 60])
def test_the_window_is_left_as_it_was_found(chat: Chat, columns: int) -> None:
    """After the chat, keys are shown again as they are typed."""
    terminal = chat(columns=columns)
    terminal.wait(PROMPT)
    terminal.say("what is 2 + 3?")
    terminal.wait(lambda screen: "2 + 3 is 5" in screen and PROMPT in screen)
    terminal.press("C-d")
    assert terminal.exit_code() == 0
    terminal.type("echoed")
    terminal.wait("echoed")
