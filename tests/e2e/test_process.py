"""The program as a process: both commands, pipes, a terminal, encodings."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mlxk2 import __version__
from mlxk2.testing import healthy_model, write_cache
from tests.e2e.conftest import MLXK2, Program, environment


@pytest.mark.parametrize(
    "command", [[str(MLXK2)], [str(MLXK2.with_name("mlxk-json"))], [sys.executable, "-m", "mlxk2"]]
)
def test_every_door_opens_the_same_program(command: list[str]) -> None:
    run = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"mlxk2 {__version__}\n"


def test_the_demo_is_a_model_like_any_other(program: Program) -> None:
    (model,) = json.loads(program("list", "--json").stdout)["data"]["models"]
    assert (model["name"], model["framework"], model["model_type"]) == ("mlxk2/demo", "MLX", "chat")
    assert (model["health"], model["runtime_compatible"], model["reason"]) == ("healthy", True, None)


@pytest.mark.parametrize("argv", [("list",), ("list", "--json"), ("health", "--verbose")])
def test_a_pipe_that_is_closed_early_is_no_error(tmp_path: Path, argv: tuple[str, ...]) -> None:
    cache = write_cache(tmp_path / "hub", [healthy_model(f"mlx-community/model-{number:04}") for number in range(1500)])
    with subprocess.Popen(
        [MLXK2, *argv], env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_output_that_the_encoding_lacks_is_replaced_and_never_a_crash(program: Program, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "hub", [healthy_model("mlx-community/modèle")])
    run = program("list", cache=cache, PYTHONIOENCODING="ascii")
    assert run.returncode == 0
    assert "mod?le" in run.stdout


@pytest.mark.parametrize("word", ["--version", "version", "--help"])
@pytest.mark.parametrize(("redirection", "code"), [(">&-", 0), (">/dev/full", 3), ("| true", 0)])
def test_even_the_shortest_answers_survive_every_stream(word: str, redirection: str, code: int) -> None:
    command = f'set -o pipefail; "$0" {word} {redirection}'
    run = subprocess.run(["bash", "-c", command, MLXK2], capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert "Traceback" not in run.stderr
    assert run.stderr.count("\n") == (code == 3)


def test_json_is_utf8_whatever_the_terminal_speaks(program: Program, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "hub", [healthy_model("mlx-community/modèle")])
    run = program("list", "--json", cache=cache, PYTHONIOENCODING="latin-1")
    assert json.loads(run.stdout)["data"]["models"][0]["name"] == "mlx-community/modèle"


@pytest.mark.parametrize(
    ("redirection", "code", "errors"),
    [
        (">&-", 0, ""),
        (">/dev/full", 3, "mlxk2: Cannot write the result to standard output: no space left on device\n"),
        ("<&-", 0, ""),
        ("2>&-", 0, ""),
    ],
)
def test_closed_and_full_streams_end_in_words(demo_cache: Path, redirection: str, code: int, errors: str) -> None:
    run = subprocess.run(
        ["/bin/sh", "-c", f'"$0" list --json {redirection}', MLXK2],
        env=environment(demo_cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (code, errors)


def on_a_terminal(argv: list[str], cache: Path, typed: bytes = b"", **more: str) -> tuple[int, str]:
    """Run the program on a pseudo-terminal; returns its exit code and everything on the screen."""
    controller, terminal = pty.openpty()
    env = environment(cache, TERM="xterm", **more)
    with subprocess.Popen([MLXK2, *argv], env=env, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        if typed:
            os.write(controller, typed)
        screen = b""
        while True:
            try:
                piece = os.read(controller, 4096)
            except OSError:
                break
            if not piece:
                break
            screen += piece
    os.close(controller)
    return process.returncode, screen.decode().replace("\r\n", "\n")


def test_rm_asks_on_a_terminal_and_no_means_no(tmp_path: Path) -> None:
    model = healthy_model()
    cache = write_cache(tmp_path / "hub", [model])
    code, screen = on_a_terminal(["rm", "tiny"], cache, b"n\n")
    assert code == 1
    assert "Delete mlx-community/tiny-4bit and free 521 B? [y/N]" in screen
    assert "Nothing was deleted" in screen
    assert (cache / model.folder).exists()
    code, screen = on_a_terminal(["rm", "tiny"], cache, b"y\n")
    assert (code, "Deleted mlx-community/tiny-4bit" in screen) == (0, True)
    assert not (cache / model.folder).exists()


def test_the_end_of_input_at_the_question_means_no(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "hub", [healthy_model()])
    code, screen = on_a_terminal(["rm", "tiny"], cache, b"\x04")
    assert (code, "Nothing was deleted" in screen) == (1, True)


def test_colour_is_for_terminals_that_want_it(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "hub", [healthy_model()])
    assert "\x1b[" in on_a_terminal(["health"], cache)[1]
    assert "\x1b[" not in on_a_terminal(["health"], cache, NO_COLOR="1")[1]
    assert "\x1b[" not in on_a_terminal(["health", "--json"], cache)[1]


def test_what_a_chat_has_no_use_for_is_refused_where_one_would_begin(demo_cache: Path) -> None:
    code, screen = on_a_terminal(["run", "demo", "--no-stream"], demo_cache)
    assert (code, "--no-stream is for an answer to one prompt" in screen) == (2, True)
    code, screen = on_a_terminal(["run"], demo_cache)
    assert (code, "no model: write its name" in screen) == (2, True)
