"""Attaching to a server as a user starts it, with the demo model: the contract, and how servers end."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from mlxk2 import __version__
from mlxk2.adapters.bundled import BundledDemo
from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.remote.attachment import HttpAttachment
from mlxk2.adapters.servers import RecordedServers
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import ServerGone
from mlxk2.ports.generation import Delta, Finished, FinishReason, GenerationRequest, Sampling
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts import AttachmentContract
from mlxk2.testing.contracts.engine.listening import Listener, answered, eventually
from tests.e2e.conftest import MLXK2, environment
from tests.e2e.serving import RunningServer as Process
from tests.e2e.serving import running_server

MODEL = f"mlxk2/demo@{BundledDemo().fetch().commit}"
ENDLESS = GenerationRequest((3, 4, 5), 10**6, Sampling(logit_bias=((0, -100.0), (2, -100.0))))


RAMBLING = ("run", "demo", "Once", "--no-chat-template", "--temperature", "9", "--seed", "21", "--max-tokens", "2000")


@contextmanager
def found_server(cache: Path, folder: Path) -> Iterator[tuple[Process, RunningServer]]:
    """A server, and what another program of this user finds of it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    servers = RecordedServers(str(folder), str(folder))
    assert servers.running() == ()
    with running_server(cache, XDG_RUNTIME_DIR=str(folder), XDG_STATE_HOME=str(folder)) as process:
        (server,) = servers.running()
        yield process, server
    assert servers.running() == ()


class TestAttachedDemo(AttachmentContract):
    """One server for all, which has nothing loaded when a test begins."""

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls, demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
        with found_server(demo_cache, tmp_path_factory.mktemp("found")) as (_, server):
            yield server

    @pytest.fixture
    def attachment(self) -> HttpAttachment:
        return HttpAttachment()

    @pytest.fixture
    def server(self, running: RunningServer, attachment: HttpAttachment) -> Iterator[RunningServer]:
        yield running
        if attachment.held(running).models:
            attachment.unload(running, MODEL, force=True)
        assert eventually(lambda: attachment.held(running).models == ())

    @pytest.fixture
    def gone(self, running: RunningServer) -> RunningServer:
        return replace(running, url="http://127.0.0.1:9")

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def endless(self) -> GenerationRequest:
        return ENDLESS

    def test_what_was_announced_is_what_runs(self, server: RunningServer, demo_cache: Path) -> None:
        assert (server.version, server.cache) == (__version__, str(demo_cache.resolve()))
        assert Path(server.log).read_text().count(server.url) == 1

    def test_the_answer_is_that_of_an_engine_in_this_process(
        self, attachment: HttpAttachment, server: RunningServer
    ) -> None:
        location = str(files("mlxk2") / "assets" / "demo")
        messages = [Message("user", "How do I list my models?")]
        with (
            closing(attachment.open(server, MODEL)[0]) as attached,
            closing(MlxEngineLoader(SystemMachine()).load(location, LoadOptions())) as local,
        ):
            assert attached.render(messages) == local.render(messages)
            request = GenerationRequest(local.render(messages).tokens, 60, logprobs=2)
            ours, theirs = answered(local, request), answered(attached, request)
        assert (theirs.text, theirs.tokens) == (ours.text, ours.tokens)
        assert [entry.chosen.token for entry in theirs.logprobs] == ours.tokens
        assert theirs.finished().reason is ours.finished().reason is FinishReason.STOP

    def test_with_another_key_nobody_is_let_in(
        self, attachment: HttpAttachment, server: RunningServer, model: str
    ) -> None:
        stranger = replace(server, key="guessed")
        with pytest.raises(ServerGone):
            attachment.open(stranger, model)
        with pytest.raises(ServerGone):
            attachment.held(stranger)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_in_the_middle_is_gone_and_no_longer_found(
    demo_cache: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with found_server(demo_cache, tmp_path / "found") as (process, server):
        engine, _ = HttpAttachment().open(server, MODEL)
        running = Listener(engine, ENDLESS)
        running.wait_for(Delta)
        process.signal(number)
        if number is signal.SIGTERM:
            engine.close()  # it lets those end whom it answers
        end = running.end()
        process.wait()
        if number is signal.SIGKILL:
            assert isinstance(running.failure(), ServerGone)
            assert isinstance(Listener(engine, ENDLESS).failure(), ServerGone)
        else:
            assert isinstance(end, Finished)
        with pytest.raises(ServerGone):
            HttpAttachment().held(server)
        engine.close()


def test_ctrl_c_ends_an_attached_run_at_once_and_its_answer_with_the_server(demo_cache: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "found")
    places = environment(demo_cache, XDG_RUNTIME_DIR=folder, XDG_STATE_HOME=folder)
    with found_server(demo_cache, tmp_path / "found") as (process, server):
        with subprocess.Popen([MLXK2, *RAMBLING], env=places, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            try:
                assert run.stdout is not None
                assert run.stdout.read(1)
                (model,) = HttpAttachment().held(server).models
                assert model.busy == 1
                run.send_signal(signal.SIGINT)
                assert run.wait(60) == 130
            finally:
                run.kill()
        assert eventually(lambda: [model.busy for model in HttpAttachment().held(server).models] == [0])
        assert process.process.poll() is None


def test_the_same_cache_by_another_path_is_the_servers_cache(demo_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(demo_cache)
    folder = str(tmp_path / "found")
    with found_server(demo_cache, tmp_path / "found") as (_, server):
        ran = subprocess.run(
            [MLXK2, "run", "demo", "How do I list my models?", "--json"],
            env=environment(tmp_path / "link", XDG_RUNTIME_DIR=folder, XDG_STATE_HOME=folder),
            capture_output=True,
            text=True,
            check=True,
        )
    assert json.loads(ran.stdout)["data"]["server"]["pid"] == server.pid
