"""A server's models as processes: two real models, each in a worker of its own."""

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlxk2.adapters.worker.engine import WorkerEngine
from mlxk2.container import build_services
from mlxk2.domain.usecases.serve_models import Lease, LoadProgress, Refused, ServeLimits, ServeModels, Told
from mlxk2.ports.errors import EngineFailure, Overloaded
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest, Sampling
from mlxk2.settings import Settings

WAIT_SECONDS = 120.0
ONE_MODEL = 200 * 10**6
"""Bytes that one of the two models fits into, and both do not."""
WITHOUT_END = GenerationRequest((5,) * 10, 300, Sampling(logit_bias=((0, -100.0), (2, -100.0))))


@pytest.fixture(scope="module")
def two_models(demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, and once more as `org/twin`."""
    root = tmp_path_factory.mktemp("two") / "hub"
    for folder in ("models--mlxk2--demo", "models--org--twin"):
        shutil.copytree(demo_cache / "models--mlxk2--demo", root / folder, symlinks=True)
    return root


class Server:
    """Makes `ServeModels` on the two models, asks them, and closes them at the end."""

    def __init__(self, root: Path) -> None:
        self._services = build_services(
            Settings(
                str(root), "http://127.0.0.1:9", True, str(root / "runtime"), str(root / "state"), str(root / "memory")
            )
        )
        self._made: list[ServeModels] = []

    def models(self, **limits: float | int | None) -> ServeModels:
        self._made.append(self._services.serve_models(ServeLimits(**limits)))  # type: ignore[arg-type]
        return self._made[-1]

    def close(self) -> None:
        for models in self._made:
            models.close()


@pytest.fixture
def server(two_models: Path) -> Iterator[Server]:
    made = Server(two_models)
    yield made
    made.close()


def news_of(models: ServeModels, name: str) -> "queue.SimpleQueue[Told]":
    news: queue.SimpleQueue[Told] = queue.SimpleQueue()
    models.want(name, news.put)
    return news


def end_of(news: "queue.SimpleQueue[Told]") -> Lease | Refused:
    while isinstance(told := news.get(timeout=WAIT_SECONDS), LoadProgress):
        pass
    return told


def lease_of(models: ServeModels, name: str) -> Lease:
    end = end_of(news_of(models, name))
    assert isinstance(end, Lease), end
    return end


def process_of(lease: Lease) -> int:
    assert isinstance(lease.engine, WorkerEngine)
    assert lease.engine.process_id is not None
    return lease.engine.process_id


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def workers() -> set[int]:
    """The workers of this process, those too that are still loading."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], check=True, capture_output=True, text=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    return {int(pid) for pid, parent, args in rows if int(parent) == os.getpid() and "worker_main" in args}


def answer(lease: Lease) -> Event:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    lease.gate.submit(GenerationRequest((5,) * 10, 5), events.put)
    while not isinstance(event := events.get(timeout=WAIT_SECONDS), (Finished, Failed)):
        pass
    return event


class Stream:
    """Text that never ends: one request after the other. Counts its tokens; `stop` ends it."""

    def __init__(self, lease: Lease) -> None:
        self.tokens = 0
        self.failures: list[Event] = []
        self.under_way, self.over = threading.Event(), threading.Event()
        self._lease = lease
        self._stopping = False
        lease.gate.submit(WITHOUT_END, self._hear)

    def stop(self) -> None:
        self._stopping = True
        assert self.over.wait(WAIT_SECONDS)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.tokens += 1
            self.under_way.set()
        elif isinstance(event, Failed) or (isinstance(event, Finished) and self._stopping):
            self.failures += [event] if isinstance(event, Failed) else []
            self.over.set()
        elif isinstance(event, Finished):
            self._lease.gate.submit(WITHOUT_END, self._hear)


def test_a_second_model_loads_while_the_first_one_streams(server: Server) -> None:
    models = server.models()
    stream = Stream(first := lease_of(models, "demo"))
    assert stream.under_way.wait(WAIT_SECONDS)
    before = stream.tokens
    second = lease_of(models, "org/twin")
    while_loading = stream.tokens - before
    assert isinstance(answer(second), Finished)
    stream.stop()
    assert while_loading > 0
    assert stream.failures == []
    assert process_of(first) != process_of(second)


def test_all_names_of_a_snapshot_share_one_process(server: Server) -> None:
    models = server.models()
    commit = models.find("demo").commit
    names = ("demo", "mlxk2/demo", f"demo@{commit[:7]}", f"mlxk2/demo@{commit}")
    assert len({process_of(lease_of(models, name)) for name in names}) == 1
    assert len(workers()) == 1


def test_where_only_one_fits_the_idle_one_goes_and_its_process_with_it(server: Server) -> None:
    models = server.models(memory=ONE_MODEL)
    first = lease_of(models, "demo")
    waiting = news_of(models, "org/twin")
    assert isinstance(answer(first), Finished)
    assert [model.offer.name for model in models.status().models] == ["mlxk2/demo"]
    process = process_of(first)
    first.release()
    second = end_of(waiting)
    assert isinstance(second, Lease)
    assert not is_alive(process)
    assert workers() == {process_of(second)}
    assert isinstance(answer(second), Finished)
    assert models.status().memory_taken <= ONE_MODEL


def test_an_idle_model_gives_back_its_memory_and_is_loaded_again_when_it_is_wanted(server: Server) -> None:
    models = server.models(keep_alive=0)
    first = lease_of(models, "demo")
    process = process_of(first)
    first.release()
    second = lease_of(models, "demo")
    assert process_of(second) != process
    assert not is_alive(process)


def test_closing_leaves_no_process_behind_whatever_they_are_at(server: Server) -> None:
    models = server.models()
    stream = Stream(lease_of(models, "demo"))
    assert stream.under_way.wait(WAIT_SECONDS)
    news = news_of(models, "org/twin")
    while not (isinstance(told := news.get(timeout=WAIT_SECONDS), LoadProgress) and "weights" in told.stage):
        pass
    assert len(workers()) == 2
    models.close()
    assert workers() == set()
    end = end_of(news)
    assert isinstance(end, Refused)
    assert isinstance(end.error, Overloaded)


def test_a_worker_that_is_killed_comes_back_with_the_next_request_and_the_other_one_does_not_notice(
    server: Server,
) -> None:
    models = server.models()
    victim, other = lease_of(models, "demo"), lease_of(models, "org/twin")
    broken, whole = Stream(victim), Stream(other)
    assert broken.under_way.wait(WAIT_SECONDS)
    assert whole.under_way.wait(WAIT_SECONDS)
    process = process_of(victim)
    os.kill(process, signal.SIGKILL)
    assert broken.over.wait(WAIT_SECONDS)
    (failed,) = broken.failures
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, EngineFailure)
    assert isinstance(answer(victim), Finished)
    whole.stop()
    assert whole.failures == []
    restarts = {model.offer.name: (model.offer.state, model.restarts) for model in models.status().models}
    assert restarts == {"mlxk2/demo": ("loaded", 1), "org/twin": ("loaded", 0)}
    assert process_of(victim) != process
