"""What `run` asks: words, standard input, files and a schema."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryCache, MemoryEngine
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.files import MOST_BYTES
from mlxk2.testing import healthy_model, memory_program
from mlxk2.testing.plugin import CommandLine

Asked = Callable[..., str]


def echoing() -> Callable[[], Services]:
    cache = MemoryCache([healthy_model()])
    return memory_program(cache, MemoryEngine(lambda prompt: prompt, structured=lambda structure, _: structure.text))


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def refused(cli: CommandLine, *argv: str) -> tuple[int, str]:
    """Exit code and the last line of what is said; nothing may be answered."""
    run = cli("run", *argv, services=echoing())
    assert run.out == ""
    return run.code, run.err.splitlines()[-1].removeprefix("mlxk2: ")


@pytest.fixture
def asked(cli: CommandLine) -> Asked:
    """The prompt as the model gets it."""

    def ask(*argv: str) -> str:
        run = cli("run", "tiny", *argv, "--no-chat-template", "--json", services=echoing())
        data = json.loads(run.out)["data"]
        assert data["prompt"] == data["response"]
        text: str = data["prompt"]
        return text

    return ask


@pytest.mark.parametrize(
    "argv", [("-", "Summarise"), ("Summarise", "-"), ("-", "-p", "Summarise"), ("Summarise", "-p", "-")]
)
def test_piped_text_and_a_question_make_one_prompt(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    piped(monkeypatch, b"one\ntwo\n")
    assert asked(*argv) == "one\ntwo\n\nSummarise"


def test_a_question_without_a_dash_leaves_standard_input_alone(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"one")
    assert asked("Why?") == "Why?"
    assert sys.stdin.read() == "one"


@pytest.mark.parametrize("argv", [("Why?",), ("--seed", "1", "Why?"), ("--seed", "1", "--", "Why?"), ("--", "--why")])
def test_the_prompt_may_follow_options(cli: CommandLine, argv: tuple[str, ...]) -> None:
    run = cli("run", "tiny", "--no-chat-template", *argv, services=echoing())
    assert (run.code, run.out) == (0, f"{argv[-1]}\n")


def test_a_dash_may_follow_options(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"one")
    assert asked("-", "--seed", "1", "Why?") == "one\n\nWhy?"


def test_an_unknown_option_is_no_part_of_the_prompt(cli: CommandLine) -> None:
    assert refused(cli, "tiny", "Why?", "--bogus", "x", "--verbos") == (
        2,
        "unrecognized arguments: --bogus x --verbos; did you mean --verbose?",
    )


def test_an_empty_pipe_beside_a_question_is_told(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b" \n")
    assert refused(cli, "tiny", "-", "Summarise") == (
        1,
        "Standard input is empty: nothing came through the pipe; leave - out to ask without it",
    )


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("tiny", "how", "are", "you"), "unrecognized arguments: are you; put a prompt of several words in quotes"),
        (("tiny", "-", "-"), "standard input was named twice; it can be read once"),
        (("tiny", "a", "-p", "b"), "the prompt was given twice: as an argument and with -p/--prompt; give it once"),
        ((), "no model: write its name (mlxk2 run <model>), or go on with the last chat: mlxk2 run --continue"),
        (("tiny", "a", "--schema", "-"), "--schema takes a file; standard input is for the prompt"),
        (
            ("tiny", "a", "--attach", "-"),
            "--attach takes files; to put standard input before the question, write - in front of it",
        ),
        (
            ("tiny", "--continue"),
            "--continue goes on with a chat: it needs a terminal, and a prompt, --json and --jsonl have no place there",
        ),
    ],
)
def test_a_command_line_that_asks_nothing_clear_is_a_usage_error(
    cli: CommandLine, argv: tuple[str, ...], sentence: str
) -> None:
    assert refused(cli, *argv) == (2, sentence)


def test_files_come_with_the_question(asked: Asked, tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_bytes(b"\xef\xbb\xbfone\n")
    second.write_text("zwölf")
    assert asked("Compare", "--attach", str(first), "--attach", str(second)) == (
        f"{first}:\n```\none\n```\n\n{second}:\n```\nzwölf\n```\n\nCompare"
    )


def test_files_piped_text_and_a_question_come_in_this_order(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    piped(monkeypatch, b"two\n")
    assert asked("-", "Compare", "--attach", "a.txt") == "a.txt:\n```\none\n```\n\ntwo\n\nCompare"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x00\x1a", "is not text but binary data; only text can be put in a prompt"),
        (b"caf\xe9", "is not UTF-8 text; convert it first, for example with iconv"),
        ("wide".encode("utf-16"), "is not UTF-8 text; convert it first, for example with iconv"),
        (b"x" * (MOST_BYTES + 1), "has more than 8 MB, more than a model can read; shorten it"),
    ],
    ids=["binary", "latin-1", "utf-16", "large"],
)
def test_what_cannot_be_read_as_text_is_refused_in_one_sentence(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert refused(cli, "tiny", "a", "--attach", str(file)) == (1, f"'{file}' {reason}")
    piped(monkeypatch, content)
    assert refused(cli, "tiny") == (1, f"Standard input {reason}")


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"], ids=["no bytes", "white space", "mark alone"])
@pytest.mark.parametrize("option", ["--attach", "--schema"])
def test_an_empty_file_is_refused_by_its_name(cli: CommandLine, tmp_path: Path, option: str, content: bytes) -> None:
    file = tmp_path / "zero.txt"
    file.write_bytes(content)
    sentence = f"'{file}' is empty; name a file with text in it, or leave it out"
    assert refused(cli, "tiny", "a", option, str(file)) == (1, sentence)


def test_a_file_that_is_not_there_a_folder_and_a_path_that_is_none_are_refused(
    cli: CommandLine, tmp_path: Path
) -> None:
    missing = tmp_path / "none"
    assert refused(cli, "tiny", "a", "--attach", str(missing)) == (1, f"There is no file '{missing}'; check its path")
    assert refused(cli, "tiny", "a", "--attach", str(tmp_path)) == (
        1,
        f"'{tmp_path}' is a folder; name the files in it",
    )
    assert refused(cli, "tiny", "a", "--attach", "a\x00b") == (1, "'a\\x00b' is no path of a file")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    code, sentence = refused(cli, "tiny", "a", "--attach", str(loop))
    assert (code, sentence) == (3, f"Cannot read '{loop}': too many levels of symbolic links")


def test_the_answer_is_held_to_the_schema_in_the_file(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "object"}')
    run = cli("run", "tiny", "Who?", "--schema", str(file), "--json", services=echoing())
    assert (run.code, json.loads(run.out)["data"]["response"]) == (0, '{"type": "object"}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("5", "it must be an object"),
        ("[" * 200 + "]" * 200, "it nests deeper than 100 levels"),
        (json.dumps({"title": "x" * 140_000}), "it has 140013 characters, and may have at most 131072"),
    ],
    ids=["no JSON", "a number", "deep", "long"],
)
def test_a_schema_that_cannot_be_used_is_told_with_its_file(
    cli: CommandLine, tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(text)
    assert refused(cli, "tiny", "Who?", "--schema", str(file)) == (
        1,
        f"The schema in '{file}' cannot be used: {reason}",
    )
