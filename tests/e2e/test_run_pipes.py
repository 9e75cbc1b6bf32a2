"""`run` between other programs, with real pipes and the demo model."""

import contextlib
import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import check_against
from tests.e2e.conftest import MLXK2, Process, Program, environment
from tests.e2e.test_process import on_a_terminal

NOTES = "Use mlxk2 list to see your models.\nUse mlxk2 pull to get more.\n"
RAMBLING = ("demo", "Once", "--no-chat-template", "--temperature", "9", "--seed", "21", "--max-tokens", "1900")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "languages": {"type": "array", "items": {"enum": ["Python", "C", "Swift"]}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "languages"],
    "additionalProperties": False,
}


def shell(line: str, cache: Path, folder: Path, **more: str) -> Process:
    """A line of a shell in this folder; `mlxk2` is the installed program, a failure anywhere in a pipe counts."""
    env = environment(cache, PATH=f"{MLXK2.parent}{os.pathsep}{os.environ['PATH']}", **more)
    words = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text(NOTES)
    (tmp_path / "person.json").write_text(json.dumps(PERSON))
    return tmp_path


def test_a_file_and_a_question_about_it(demo_cache: Path, folder: Path) -> None:
    piped = shell('cat notes.txt | mlxk2 run demo - "summarise" --json', demo_cache, folder)
    data = json.loads(piped.stdout)["data"]
    assert data["prompt"] == f"{NOTES}\nsummarise"
    assert data["response"].strip()
    plain = shell('cat notes.txt | mlxk2 run demo - "summarise"', demo_cache, folder)
    assert (plain.returncode, plain.stdout, plain.stderr) == (0, data["response"] + "\n", "")


def test_an_attached_file_reaches_the_model(demo_cache: Path, folder: Path) -> None:
    def tokens(line: str) -> int:
        count: int = json.loads(shell(line, demo_cache, folder).stdout)["data"]["usage"]["prompt_tokens"]
        return count

    alone = tokens("mlxk2 run demo 'what is this?' --json")
    assert tokens("mlxk2 run demo 'what is this?' --attach notes.txt --json") > alone + 10
    assert tokens("mlxk2 run demo 'what is this?' --attach <(cat notes.txt) --json") > alone + 10


def test_an_answer_is_the_next_ones_question(demo_cache: Path, folder: Path) -> None:
    chain = 'mlxk2 run demo "How do I list my models?" | tee first | mlxk2 run demo - "What is this about?" --json'
    run = shell(chain, demo_cache, folder)
    assert (run.returncode, run.stderr) == (0, "")
    first = (folder / "first").read_text()
    assert json.loads(run.stdout)["data"]["prompt"] == f"{first.rstrip()}\n\nWhat is this about?"
    assert "mlxk2 list" in first


def test_a_chain_whose_beginning_fails_says_so_once_and_what_follows_does_not_make_something_up(
    demo_cache: Path, folder: Path
) -> None:
    run = shell('mlxk2 run nobody hi | mlxk2 run demo - "summarise"', demo_cache, folder)
    assert (run.returncode, run.stdout) == (1, "")
    assert len(run.stderr.splitlines()) == 2
    assert "Standard input is empty" in run.stderr


@pytest.mark.parametrize("form", ["", "--jsonl", "--verbose"])
def test_head_ends_it_quietly(demo_cache: Path, folder: Path, form: str) -> None:
    run = shell(f"mlxk2 run {' '.join(RAMBLING)} {form} | head -c 1", demo_cache, folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout) == 1


def test_head_minus_one_takes_the_first_line_of_a_long_answer(demo_cache: Path, folder: Path) -> None:
    run = shell(f"mlxk2 run {' '.join(RAMBLING)} | head -1", demo_cache, folder)
    assert (run.returncode, run.stdout.count("\n")) == (0, 1)
    assert run.stderr in ("", "(ended after 1900 tokens, the limit of this run)\n")  # it may all be one line


def test_streams_that_are_closed_end_nothing_in_a_traceback(demo_cache: Path, folder: Path) -> None:
    unheard = shell("mlxk2 run demo hello >&-", demo_cache, folder)
    assert (unheard.returncode, unheard.stdout, unheard.stderr) == (0, "", "")
    silent = shell("mlxk2 run demo hello 2>&-", demo_cache, folder)
    assert (silent.returncode, bool(silent.stdout)) == (0, True)
    full = shell("mlxk2 run demo hello >/dev/full", demo_cache, folder)
    assert (full.returncode, full.stderr) == (
        3,
        "mlxk2: Cannot write the result to standard output: no space left on device\n",
    )
    nothing = shell("mlxk2 run demo <&-", demo_cache, folder)
    assert (nothing.returncode, "The prompt is empty" in nothing.stderr) == (1, True)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (r"printf 'caf\351'", "", "Standard input is not UTF-8 text"),
        (r"printf 'a\0b'", "", "Standard input is not text but binary data"),
        ("true", "", "The prompt is empty"),
        ("true", "- summarise", "Standard input is empty"),
        ("yes", "- summarise", "Standard input has more than 8 MB"),
    ],
)
def test_input_that_is_no_prompt_is_refused_in_one_sentence(
    demo_cache: Path, folder: Path, before: str, after: str, words: str
) -> None:
    run = shell(f"set +o pipefail; {before} | mlxk2 run demo {after}", demo_cache, folder)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"mlxk2: {words}")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["", "--thinking", "--temperature 2 --seed 3", "--no-chat-template"])
def test_an_answer_under_a_schema_is_json_that_is_valid_under_it(demo_cache: Path, folder: Path, option: str) -> None:
    run = shell(f'mlxk2 run demo "Who is she?" --schema person.json {option}', demo_cache, folder)
    assert (run.returncode, run.stderr) == (0, "")
    jsonschema.Draft202012Validator(PERSON).validate(json.loads(run.stdout))


def test_a_schema_goes_through_a_pipe_into_the_next_program(demo_cache: Path, folder: Path) -> None:
    reader = "import json, sys; print(sorted(json.load(sys.stdin)))"
    run = shell(f"mlxk2 run demo 'Who?' --schema person.json | python3 -c '{reader}'", demo_cache, folder)
    assert (run.returncode, run.stdout) == (0, "['age', 'languages', 'name']\n")


@pytest.mark.parametrize(
    "text",
    ['{"type": "banana"}', '{"type": "string", "pattern": "("}', '{"type": "integer", "minimum": 5, "maximum": 3}'],
)
@pytest.mark.parametrize("option", [(), ("--no-chat-template",)])
def test_a_schema_that_cannot_be_compiled_is_one_sentence_with_its_file(
    program: Program, tmp_path: Path, text: str, option: tuple[str, ...]
) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(text)
    run = program("run", "demo", "hi", "--schema", str(file), *option)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"mlxk2: The schema in '{file}' cannot be used: ")
    assert run.stderr.count("\n") == 1
    assert run.stderr.count("cannot be used") == 1
    error = json.loads(program("run", "demo", "hi", "--schema", str(file), "--json", *option).stdout)["error"]
    assert (error["type"], f"mlxk2: {error['message']}\n") == ("ValidationError", run.stderr)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_of_jsonl_is_an_event(program: Program) -> None:
    run = program("run", "demo", "what is 2 + 3?", "--thinking", "--jsonl")
    start, *pieces, done = lines(run.stdout)
    assert (run.returncode, run.stderr, start["event"], done["event"]) == (0, "", "start", "done")
    answer = "".join(piece["text"] for piece in pieces if piece["event"] == "text")
    thought = "".join(piece["text"] for piece in pieces if piece["event"] == "reasoning")
    assert (answer, thought) == (done["data"]["response"], done["data"]["reasoning"])
    assert thought
    assert "5" in answer


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "kind"),
    [
        (("nobody", "hi"), None, 1, "model_not_found"),
        (("demo",), "", 1, "ValidationError"),
        (("demo",), "many words " * 3000, 1, "context_length_exceeded"),
        (("demo", "hi", "--bogus"), None, 2, "ValidationError"),
        (("demo", "hi", "--json"), None, 2, "ValidationError"),
    ],
)
def test_every_failure_is_the_last_line_of_jsonl(
    program: Program, argv: tuple[str, ...], stdin: str | None, code: int, kind: str
) -> None:
    run = program("run", *argv, "--jsonl", stdin=stdin)
    (event,) = lines(run.stdout)
    assert (run.returncode, event["event"], event["error"]["type"]) == (code, "error", kind)
    assert run.stderr == ""


def test_ctrl_c_is_the_last_line_of_jsonl(demo_cache: Path, schema: jsonschema.Draft202012Validator) -> None:
    with subprocess.Popen(
        [MLXK2, "run", *RAMBLING, "--jsonl"],
        env=environment(demo_cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        before = process.stdout.readline() + process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    check_against(schema, before + output)
    events = lines(before + output)
    assert (process.returncode, errors) == (130, "")
    assert [events[0]["event"], events[1]["event"], events[-1]["event"]] == ["start", "text", "error"]
    assert events[-1]["error"]["type"] == "Interrupted"


def test_ctrl_c_on_a_terminal_ends_the_line_of_the_answer_first(demo_cache: Path) -> None:
    controller, terminal = pty.openpty()
    env = environment(demo_cache, TERM="xterm")
    with subprocess.Popen([MLXK2, "run", *RAMBLING], env=env, stdin=terminal, stdout=terminal, stderr=terminal) as run:
        os.close(terminal)
        screen = os.read(controller, 4096)
        run.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # nothing more comes
            while piece := os.read(controller, 4096):
                screen += piece
    os.close(controller)
    answer, _, last = screen.decode().rstrip("\r\n").rpartition("\r\n")
    assert (run.returncode, last) == (130, "mlxk2: Interrupted")
    assert answer


def test_a_terminal_sees_the_reasoning_dimmed_unless_it_is_hidden(demo_cache: Path) -> None:
    question = ["run", "demo", "what is 2 + 3?", "--thinking"]
    code, screen = on_a_terminal(question, demo_cache)
    assert (code, "\x1b[2m" in screen) == (0, True)
    hidden = on_a_terminal([*question, "--hide-reasoning"], demo_cache)[1]
    assert "\x1b" not in hidden
    assert screen.endswith(hidden)
    assert "... done thinking." in on_a_terminal(question, demo_cache, NO_COLOR="1")[1]
