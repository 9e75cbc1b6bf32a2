"""Runs and chats on a server that runs on the same machine, each a process of its own."""

import os
import signal
from contextlib import closing
from pathlib import Path

from mlxk2.container import build_services
from mlxk2.domain.usecases.chat_model import Chat, ChatOptions
from mlxk2.settings import read_settings
from tests.domain.opening import follow
from tests.e2e.conftest import Program, environment
from tests.e2e.serving import eventually, running_server, two_models

QUESTION = "How do I list my models?"


def chat_on(cache: Path) -> Chat:
    """A chat in this process, which finds servers as the program does."""
    return build_services(read_settings(environment(cache))).chat_model().open("demo", ChatOptions())


def holder(chat: Chat) -> int | None:
    """The process of the server that holds the chat's model, None when that is in this process."""
    return chat.server.pid if chat.server else None


def said(chat: Chat, question: str) -> str:
    turn = chat.ask(question)
    answer = follow(turn)
    assert answer.error is None
    turn.keep()
    return answer.text


def test_a_run_is_answered_by_the_server_word_for_word(program: Program, demo_cache: Path) -> None:
    with running_server(demo_cache) as server:
        assert not server.workers()
        attached = program("run", "demo", QUESTION)
        assert (attached.returncode, attached.stderr) == (0, "")
        assert server.workers(), "it has loaded the model"
        made = server.number("engine_tokens_total")
        assert made > 0
        local = program("run", "demo", QUESTION, "--local")
        assert attached.stdout == local.stdout
        assert server.number("engine_tokens_total") == made


def test_a_stop_string_ends_the_work_of_the_server(program: Program, demo_cache: Path) -> None:
    with running_server(demo_cache) as server:
        run = program("run", "demo", QUESTION, "--stop", "mlxk2 list")
        assert run.returncode == 0
        assert "mlxk2 list" not in run.stdout
        assert eventually(server.is_at_rest)


def test_a_server_that_does_not_offer_the_model_says_so_and_how_to_do_without_it(
    program: Program, demo_cache: Path, tmp_path: Path
) -> None:
    cache = two_models(demo_cache, tmp_path / "hub")
    with running_server(cache, "--allow", "other/demo"):
        refused = program("run", "demo", QUESTION, cache=cache)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
        assert refused.stderr.endswith(" To load it in this process, add --local\n")
        assert program("run", "demo", QUESTION, "--local", cache=cache).returncode == 0


def test_a_server_of_another_cache_is_left_alone(program: Program, demo_cache: Path, tmp_path: Path) -> None:
    with running_server(two_models(demo_cache, tmp_path / "hub")) as server:
        run = program("run", "demo", QUESTION)
        assert (run.returncode, run.stderr) == (0, "")
        assert not server.workers()


def test_a_chat_pays_only_for_what_is_new_and_outlives_its_server(demo_cache: Path) -> None:
    with running_server(demo_cache) as server, closing(chat_on(demo_cache)) as chat:
        assert holder(chat) == server.pid
        assert "mlxk2 list" in said(chat, QUESTION)
        turn = chat.ask("And how do I remove one?")
        answer = follow(turn)
        turn.keep()
        assert answer.cached_tokens > answer.prompt_tokens / 2

        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        assert said(chat, "what is 2 + 3?")
        assert (holder(chat), chat.passed_over) == (None, ())
        assert len(chat.messages) == 6
