"""How `run` shows an answer: text, reasoning, events, and what is said beside it."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from mlxk2 import __version__
from mlxk2.adapters.memory import MEMORY_INFO, MemoryAttachment, MemoryCache, MemoryEngine, MemoryServers
from mlxk2.domain.text.outputs import ReasoningDelta, TextDelta
from mlxk2.entrypoints.cli.answering import TextView, WholeView
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.output import Output
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import OperationError
from mlxk2.testing import healthy_model, memory_program
from mlxk2.testing.plugin import CommandLine
from tests.running import a_server

THINKING = MEMORY_INFO._replace(markers=Markers("<think>", "</think>"))
SERVER = a_server(cache="memory", version=__version__)
COMMIT = next(iter(healthy_model().revisions))


def thinking(text: str) -> Callable[[], Services]:
    return memory_program(MemoryCache([healthy_model()]), MemoryEngine(lambda _: text, info=THINKING))


def served(*gone: str) -> Callable[[], Services]:
    attachment = MemoryAttachment(
        {f"mlx-community/tiny-4bit@{COMMIT}": MemoryEngine(lambda _: "from the server")}, gone=gone
    )
    return memory_program(
        MemoryCache([healthy_model()]),
        MemoryEngine(lambda _: "from here"),
        servers=MemoryServers(SERVER),
        attachment=attachment,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


ANSWER = "<think>Two and two.</think>\n\nFour."


def test_a_pipe_takes_the_answer_alone(cli: CommandLine) -> None:
    run = cli("run", "tiny", "2+2", services=thinking(ANSWER))
    assert (run.out, run.err) == ("Four.\n", "")
    assert cli("run", "tiny", "2+2", "--no-stream", services=thinking(ANSWER)).out == "Four.\n"


def test_reasoning_of_an_answer_that_is_piped_goes_to_standard_error(cli: CommandLine) -> None:
    run = cli("run", "tiny", "2+2", "--show-reasoning", services=thinking(ANSWER))
    assert (run.out, run.err) == ("Four.\n", "Thinking ...\nTwo and two.\n... done thinking.\n\n")


def test_json_has_the_reasoning_beside_the_response(cli: CommandLine) -> None:
    data = json.loads(cli("run", "tiny", "2+2", "--json", services=thinking(ANSWER)).out)["data"]
    assert (data["response"], data["reasoning"]) == ("Four.", "Two and two.")


def test_events_tell_reasoning_and_text_apart_and_end_with_the_document(cli: CommandLine) -> None:
    run = cli("run", "tiny", "2+2", "--jsonl", services=thinking(ANSWER))
    start, *pieces, done = events(run.out)
    assert start == {"event": "start", "model": "mlx-community/tiny-4bit", "hash": COMMIT, "server": None}
    texts = {
        kind: "".join(piece["text"] for piece in pieces if piece["event"] == kind) for kind in ("reasoning", "text")
    }
    assert texts == {"reasoning": "Two and two.", "text": "Four."}
    assert {piece["event"] for piece in pieces} == {"reasoning", "text"}
    document = json.loads(cli("run", "tiny", "2+2", "--json", services=thinking(ANSWER)).out)
    assert {**done["data"], "timings": None} == {**document["data"], "timings": None}


def test_what_is_wrong_is_the_last_event(cli: CommandLine) -> None:
    def fail(_: str) -> str:
        raise OperationError("The engine failed")

    run = cli(
        "run", "tiny", "hi", "--jsonl", services=memory_program(MemoryCache([healthy_model()]), MemoryEngine(fail))
    )
    assert [event["event"] for event in events(run.out)] == ["start", "error"]
    assert (run.code, events(run.out)[-1]["error"]["message"]) == (1, "The engine failed")
    (unknown,) = events(cli("run", "nobody", "hi", "--jsonl", services=thinking("")).out)
    assert unknown["error"]["type"] == "model_not_found"
    usage = cli("run", "tiny", "a", "b", "--jsonl", services=thinking(""))
    assert (usage.code, events(usage.out)[0]["error"]["type"]) == (2, "ValidationError")


def test_a_running_server_is_named_to_programs_and_to_who_asks(cli: CommandLine) -> None:
    named = {"url": SERVER.url, "port": SERVER.port, "pid": SERVER.pid}
    data = json.loads(cli("run", "tiny", "hi", "--json", services=served()).out)["data"]
    assert (data["response"], data["server"]) == ("from the server", named)
    assert events(cli("run", "tiny", "hi", "--jsonl", services=served()).out)[0]["server"] == named
    verbose = cli("run", "tiny", "hi", "--verbose", services=served())
    assert f"answered by the running server at {SERVER.url}, ready in " in verbose.err
    assert cli("run", "tiny", "hi", services=served()).err == ""


@pytest.mark.parametrize("option", ["--local", "--force-load", "--trust-remote-code"])
def test_a_model_that_is_loaded_for_the_run_names_no_server(cli: CommandLine, option: str) -> None:
    data = json.loads(cli("run", "tiny", "hi", option, "--json", services=served()).out)["data"]
    assert (data["response"], "server" in data) == ("from here", False)
    assert "model loaded for this run in " in cli("run", "tiny", "hi", option, "--verbose", services=served()).err


def test_a_server_that_cannot_be_reached_is_passed_over_with_a_note(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", services=served(SERVER.url))
    assert (run.code, run.out) == (0, "from here\n")
    assert run.err == f"(The server at {SERVER.url} cannot be reached)\n"


def test_a_seed_that_changes_nothing_is_told(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", "--seed", "1", services=thinking("a"))
    assert run.err == (
        "(--seed changes nothing here: without --temperature this model takes the most probable token)\n"
    )
    assert cli("run", "tiny", "hi", "--seed", "1", "--temperature", "1", services=thinking("a")).err == ""


def structured(text: str) -> Callable[[], Services]:
    engine = MemoryEngine(lambda _: "", structured=lambda *_: text)
    return memory_program(MemoryCache([healthy_model()]), engine)


def test_json_that_fills_the_context_does_not_ask_for_more_tokens(cli: CommandLine, tmp_path: Any) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "array"}')
    run = cli("run", "tiny", "hi", "--schema", str(file), services=structured("[" + "1," * 3000))
    assert run.code == 1
    assert "complete; the model's context of 2048 is full: shorten the prompt, or let the schema bound" in run.err


def test_an_answer_that_ends_before_its_json_is_complete_is_an_error(cli: CommandLine, tmp_path: Any) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "array"}')
    argv = ("run", "tiny", "hi", "--schema", str(file), "--max-tokens", "3")
    run = cli(*argv, services=structured("[1, 2]"))
    assert (run.code, run.out) == (1, "[1,\n")
    assert run.err == (
        "mlxk2: The answer ended after 3 tokens, before its JSON was complete; allow more with --max-tokens, or let the"
        " schema bound its texts and lists (maxLength, maxItems)\n"
    )
    document = json.loads(cli(*argv, "--json", services=structured("[1, 2]")).out)
    assert (document["status"], document["data"]["response"]) == ("error", "[1,")
    assert events(cli(*argv, "--jsonl", services=structured("[1, 2]")).out)[-1]["event"] == "error"
    stopped = cli(*argv[:-2], "--stop", ",", services=structured("[1, 2]"))
    assert (stopped.code, stopped.out) == (1, "[1\n")
    assert "A --stop text ended the answer" in stopped.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(**environ: str) -> tuple[Output, Terminal]:
    """An output whose two streams are one terminal."""
    screen = Terminal()
    return Output(json=False, jsonl=False, environ=environ, out=screen, err=screen), screen


PIECES = (ReasoningDelta("Two "), ReasoningDelta("and two."), TextDelta("Fo"), TextDelta("ur."))


def test_a_terminal_dims_the_reasoning() -> None:
    out, screen = on_a_terminal(TERM="xterm")
    view = TextView(out, shows_reasoning=True)
    for piece in PIECES:
        view.add(piece)
    view.end()
    assert screen.getvalue() == "\x1b[2mTwo \x1b[0m\x1b[2mand two.\x1b[0m\x1b[2m\n\n\x1b[0mFour.\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_cannot_dim_has_lines_around_the_reasoning(environ: dict[str, str]) -> None:
    out, screen = on_a_terminal(**environ)
    view = WholeView(TextView(out, shows_reasoning=True))
    for piece in PIECES:
        view.add(piece)
    assert screen.getvalue() == ""
    view.end()
    assert screen.getvalue() == "Thinking ...\nTwo and two.\n... done thinking.\n\nFour.\n"


def test_reasoning_that_is_hidden_leaves_the_answer_alone() -> None:
    out, screen = on_a_terminal(TERM="xterm")
    view = TextView(out, shows_reasoning=False)
    for piece in PIECES:
        view.add(piece)
    view.end()
    assert screen.getvalue() == "Four.\n"


def test_no_character_of_a_model_steers_the_terminal() -> None:
    out, screen = on_a_terminal(TERM="xterm")
    out.answer("a\tb\r\n\x1b]0;title\x07\x9b2J\u202egnp")
    assert screen.getvalue() == "a\tb\n\\x1b]0;title\\x07\\x9b2J\\u202egnp"


def test_a_note_in_the_middle_of_an_answer_begins_a_line() -> None:
    out, screen = on_a_terminal(TERM="xterm")
    out.answer("half a li")
    out.note("mlxk2: Interrupted")
    out.note("once")
    assert screen.getvalue() == "half a li\nmlxk2: Interrupted\nonce\n"


@pytest.mark.parametrize("form", ["--json", "--jsonl"])
def test_json_steers_no_terminal_and_says_the_same(cli: CommandLine, form: str) -> None:
    steering = "a\x9b31mb\x7f\u202ec"
    run = cli("run", "tiny", "hi", form, services=thinking(steering))
    assert not set(run.out) & {"\x9b", "\x7f", "\u202e"}
    last = json.loads(run.out) if form == "--json" else events(run.out)[-1]
    assert last["data"]["response"] == steering


class Interrupted(Terminal):
    """Ctrl-C comes when a piece has just been written."""

    def flush(self) -> None:
        if self.getvalue() == "half":
            raise KeyboardInterrupt


def test_a_piece_that_was_written_when_ctrl_c_came_has_opened_a_line() -> None:
    screen = Interrupted()
    out = Output(json=False, jsonl=False, environ={"TERM": "xterm"}, out=screen, err=screen)
    with pytest.raises(KeyboardInterrupt):
        out.answer("half")
    out.note("Interrupted")
    assert screen.getvalue() == "half\nInterrupted\n"
