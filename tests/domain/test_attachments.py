"""How files and piped text appear in a prompt."""

import pytest

from mlxk2.domain.attachments import TextFile, after_input, with_files


def test_files_stand_before_the_question_under_their_names() -> None:
    prompt = with_files("Which is newer?", [TextFile("a.txt", "one\n"), TextFile("src/b.py", "two")])
    assert prompt == "a.txt:\n```\none\n```\n\nsrc/b.py:\n```\ntwo\n```\n\nWhich is newer?"


def test_a_question_without_files_is_left_as_it_is() -> None:
    assert with_files(" Why?\n", []) == " Why?\n"


@pytest.mark.parametrize(("inside", "fence"), [("``", "```"), ("```py\n```", "````"), ("x `````", "``````")])
def test_nothing_in_a_file_closes_its_fence(inside: str, fence: str) -> None:
    assert with_files("q", [TextFile("a", inside)]) == f"a:\n{fence}\n{inside}\n{fence}\n\nq"


def test_an_empty_file_is_an_empty_block() -> None:
    assert with_files("q", [TextFile("a", "")]) == "a:\n```\n```\n\nq"


def test_a_name_is_one_line_of_text_whatever_it_holds() -> None:
    assert with_files("q", [TextFile("a\nb\udcff", "")]).startswith("a\\x0ab\\xff:\n")


def test_what_was_piped_in_stands_before_the_question() -> None:
    assert after_input("one\n\ntwo\n\n", "Summarise") == "one\n\ntwo\n\nSummarise"
