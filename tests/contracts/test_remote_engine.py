"""The engine contract over HTTP, on the whole server with a scripted engine behind it; and the contract of attaching.

Each engine here has a server of its own, because load options are the server's to choose.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from mlxk2.adapters.memory import MemoryEngine, MemoryEngineLoader
from mlxk2.adapters.remote.attachment import HttpAttachment
from mlxk2.ports.engine import Engine, Loading, LoadOptions, Stepped, Watch, unwatched
from mlxk2.ports.generation import Delta, FinishReason, GenerationRequest, Queued
from mlxk2.ports.servers import RunningServer
from mlxk2.testing.contracts import AttachmentContract
from mlxk2.testing.contracts.engine import scripts
from mlxk2.testing.contracts.engine.fixtures import PREFIX_CACHE_BYTES, Load
from mlxk2.testing.contracts.engine.listening import Listener, all_answered
from tests.contracts.attached_server import MODEL, attached_server
from tests.contracts.test_engine import TestMemoryEngine as InMemory

PACE = 0.0005
"""Seconds that a step of the script takes, so that it does not run away from those who follow it over HTTP."""


class ScriptedLoader:
    """Loads as a server is told to, but with the options that a test chooses."""

    def __init__(self, options: LoadOptions) -> None:
        self._loader = MemoryEngineLoader(lambda _: MemoryEngine(scripts.free, structured=scripts.held))
        self._options = options

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> Engine:
        chosen = options._replace(
            context_length=self._options.context_length,
            prefix_cache_bytes=self._options.prefix_cache_bytes,
            max_rows=self._options.max_rows,
        )
        pause = threading.Event()

        def paced(seen: Loading | Stepped) -> None:
            watch(seen)
            if isinstance(seen, Stepped):
                pause.wait(PACE)

        return self._loader.load(location, chosen, paced)


@contextmanager
def attached(options: LoadOptions, watch: Watch = unwatched) -> Iterator[Engine]:
    with attached_server(ScriptedLoader(options)) as server:
        engine, _ = HttpAttachment().open(server, MODEL, watch)
        with closing(engine):
            yield engine


class TestRemoteEngine(InMemory):
    """Where the contract lets the first of two requests begin, the second is started here once the first has begun:
    over connections of their own, who came first is for the server to say.
    """

    cancel_lag = 100_000  # the script makes thousands of tokens until the server notices that nobody listens

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        with attached(LoadOptions(prefix_cache_bytes=PREFIX_CACHE_BYTES)) as engine:
            yield engine

    @pytest.fixture
    def load(self) -> Iterator[Load]:
        with ExitStack() as opened:
            yield lambda options, watch: opened.enter_context(attached(options, watch))

    @pytest.mark.parametrize("rows", [1, 2])
    def test_no_more_rows_than_allowed_and_first_come_first_served(
        self, load: Load, mixed: list[GenerationRequest], quiet: list[str], rows: int
    ) -> None:
        """Nobody is left out."""
        engine = load(LoadOptions(max_rows=rows), unwatched)
        assert engine.info().max_rows <= rows
        assert [answer.text for answer in all_answered(engine, mixed)] == quiet

    def test_whoever_runs_or_waits_ends_as_cancelled(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=1), unwatched)
        running = Listener(engine, endless)
        running.wait_for(Delta)
        waiting = [Listener(engine, endless) for _ in range(4)]
        waiting[0].wait_for(Queued)
        engine.close()
        ends = {listener.finished().reason for listener in (running, *waiting)}
        assert ends == {FinishReason.CANCELLED}

    def test_while_it_waits(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=1), unwatched)
        running = Listener(engine, endless)
        running.wait_for(Delta)
        waiting = Listener(engine, endless)
        waiting.wait_for(Queued)
        engine.cancel(waiting.request_id)
        last = waiting.finished()
        assert (last.reason, last.generated_tokens) == (FinishReason.CANCELLED, 0)
        assert waiting.text == ""
        assert not running.has_ended

    def test_a_place_in_the_servers_line_is_told(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=1), unwatched)
        running = Listener(engine, endless)
        running.wait_for(Delta)
        waiting = Listener(engine, endless._replace(max_tokens=3))
        waiting.wait_for(Queued)
        assert waiting.events == [Queued(1)]
        engine.cancel(running.request_id)
        assert waiting.finished().generated_tokens == 3


class TestHttpAttachment(AttachmentContract):
    @pytest.fixture
    def attachment(self) -> HttpAttachment:
        return HttpAttachment()

    @pytest.fixture
    def server(self) -> Iterator[RunningServer]:
        with attached_server(ScriptedLoader(LoadOptions())) as server:
            yield server

    @pytest.fixture
    def gone(self) -> RunningServer:
        with attached_server(ScriptedLoader(LoadOptions())) as server:
            pass
        return server

    @pytest.fixture
    def model(self) -> str:
        return MODEL

    @pytest.fixture
    def endless(self) -> GenerationRequest:
        return scripts.ENDLESS
