"""Reading while other processes write and delete: every answer is whole, in time, and never better than the truth."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import jsonschema
import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.cache import WORTH_INDEXING
from mlxk2.adapters.hfcache.locks import is_held
from mlxk2.ports.cache import READ_NOTHING
from mlxk2.testing import healthy_model, write_cache
from tests.conftest import REPOSITORY, check_against
from tests.e2e.conftest import MLXK2, environment
from tests.e2e.crowd import ROLES
from tests.e2e.pulling import TEXTS, shards, small_model
from tests.loopback_hub import LoopbackHub

SECONDS = 60.0
LONGEST_READ = 60.0
"""Seconds: much more than a command takes on a busy machine, and much less than waiting for a lock that is held."""
BETWEEN_FREEZES = 3.0
NAMES = ("org/one", "org/sharded", "org/xet")
STABLE = tuple(f"still/{number:03d}" for number in range(WORTH_INDEXING))
"""Nobody changes them; with so many, facts are remembered in an index."""
LIST = ("list", "--all", "--json")
READERS = (
    (LIST, ("du", "--json")),
    (("health", "--json"), ("prune", "--dry-run", "--json")),
    (("show", "org/sharded", "--json"), ("verify", "org/", "--json")),
)
"""Each line is one after another, the lines are at the same time."""
MINIMUM = ("config.json", "tokenizer.json")
NOT_NEEDED = ("README.md", "model.safetensors.index.json")
"""mlx-lm finds the shards by their names: a model that has them all is healthy before its index has come."""

Commits = Mapping[tuple[str, str], Mapping[str, bytes]]
"""By model and commit, every file."""


class Answer(NamedTuple):
    command: str
    code: int
    out: str
    err: str
    seconds: float


class Place(NamedTuple):
    """One cache between many processes."""

    root: Path
    env: dict[str, str]
    commits: Commits

    def ask(self, *argv: str) -> Answer:
        began = time.monotonic()
        result = subprocess.run(
            [MLXK2, *argv], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=600
        )
        out, err = result.stdout.decode(), result.stderr.decode()
        return Answer(argv[0], result.returncode, out, err, time.monotonic() - began)


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture
def place(hub: LoopbackHub, tmp_path: Path) -> Place:
    root = tmp_path / "hub"
    env = environment(
        root,
        HF_ENDPOINT=hub.endpoint,
        HF_TOKEN="",
        HF_HOME=str(tmp_path / "home"),
        XDG_STATE_HOME=str(tmp_path / "state"),
        XDG_CACHE_HOME=str(tmp_path / "memory"),
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_DISABLE_UPDATE_CHECK="1",
        HF_HUB_DISABLE_TELEMETRY="1",
    )
    commits: dict[tuple[str, str], Mapping[str, bytes]] = {}
    first = (small_model(200_000), {**TEXTS, **shards(150_000, 100_000, 50_000)}, small_model(400_000))
    for name, files in zip(NAMES, first, strict=True):
        commits[name, hub.add_model(name, files, xet=name == "org/xet")] = files
        hub.branch(name, "old")
        config = files["config.json"].replace(b"{", b'{"new": true, ', 1)
        commits[name, hub.change(name, {"config.json": config})] = {**files, "config.json": config}
    write_cache(root, [healthy_model(name) for name in STABLE])
    return Place(root, env, commits)


class Crowd:
    """The processes that change the cache."""

    def __init__(self, place: Place) -> None:
        self._stop = place.root.parent / "stop"
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.crowd", role, self._stop, *NAMES],
                cwd=REPOSITORY,
                env=place.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for role in ROLES
        ]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """They stand still in the middle of whatever they do, with the locks that they hold."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        yield
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def end(self) -> Counter[str]:
        """How often what happened."""
        self._stop.touch()
        ends: Counter[str] = Counter()
        for process in self._processes:
            ends.update(json.loads(process.communicate(timeout=120)[0]))
        return ends

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


class Readers:
    """Threads that ask the program again and again."""

    def __init__(self, place: Place) -> None:
        self.answers: list[Answer] = []
        self._over = Event()
        self._threads = [Thread(target=self._ask, args=(place, questions)) for questions in READERS]
        for thread in self._threads:
            thread.start()

    def _ask(self, place: Place, questions: tuple[tuple[str, ...], ...]) -> None:
        for argv in cycle(questions):
            if self._over.is_set():
                break
            self.answers.append(place.ask(*argv))

    def end(self) -> list[Answer]:
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.answers


def models_in(answer: Answer) -> list[dict[str, Any]]:
    """None where the answer is wrong, which `problems_of` tells."""
    with contextlib.suppress(ValueError, TypeError):
        found: list[dict[str, Any]] = json.loads(answer.out)["data"]["models"]
        return found
    return []


def untrue(place: Place, listed: list[dict[str, Any]]) -> list[str]:
    """Models that are called healthy and have not all of their files; nobody may change the cache meanwhile."""
    return [
        f"{model['name']}@{model['hash']}: {path}"
        for model in listed
        if model["health"] == "healthy" and model["name"] not in STABLE
        for path in _wrong_files(place, model["name"], model["hash"])
    ]


def _wrong_files(place: Place, name: str, commit: str) -> list[str]:
    folder = f"models--{name.replace('/', '--')}"
    snapshot = place.root / folder / "snapshots" / commit
    files = place.commits[name, commit]
    cache = HfCache(str(place.root), place.env["XDG_STATE_HOME"])
    is_listed = cache.snapshot(cache.repo(folder), commit, READ_NOTHING).listing is not None
    weights = [path for path in files if path.endswith(".safetensors")]
    needed = [path for path in files if path not in NOT_NEEDED] if is_listed else [*MINIMUM, *weights]
    return [
        path
        for path, content in files.items()
        if (path in needed or (snapshot / path).exists())
        and not ((snapshot / path).exists() and (snapshot / path).read_bytes() == content)
    ]


def problems_of(answer: Answer) -> list[str]:
    """What is wrong with an answer, whatever the cache was like."""
    try:
        document = json.loads(answer.out)
    except ValueError:
        return [f"{answer.command}: no JSON: {answer.out} {answer.err}"]
    data = document["data"] or {}
    checks = {
        "exit code": answer.code in (0, 1),
        "internal error": "InternalError" not in answer.out,
        "not judged": "could not be judged" not in answer.out,
        "standard error": answer.err == "" or answer.command == "verify",
        "too slow": answer.seconds < LONGEST_READ,
    }
    if own_check := CHECKS.get(answer.command):
        checks |= own_check(data)
    return [f"{answer.command}: {check}: {answer}" for check, good in checks.items() if not good]


def _list_is_right(data: dict[str, Any]) -> dict[str, bool]:
    health = {model["name"]: model["health"] for model in data.get("models", ())}
    return {"what nobody changes is healthy": {health.get(name) for name in STABLE} == {"healthy"}}


def _health_is_right(data: dict[str, Any]) -> dict[str, bool]:
    healthy = {row["name"] for row in data.get("healthy", ())}
    return {"what nobody changes is healthy": healthy.issuperset(STABLE)}


def _verify_is_right(data: dict[str, Any]) -> dict[str, bool]:
    """Nobody writes wrong bytes under a blob's name."""
    rows = [*data["healthy"], *data["unhealthy"]]
    return {"no wrong hash": not any(file["found"] for row in rows for file in row["damaged"])}


def _du_is_right(data: dict[str, Any]) -> dict[str, bool]:
    names = {model["name"] for model in data.get("models", ())}
    return {
        "what nobody changes counts": names.issuperset(STABLE),
        "what is gone is not called unreadable": data["unread"] == [],
    }


CHECKS: Mapping[str, Callable[[dict[str, Any]], dict[str, bool]]] = {
    "list": _list_is_right,
    "health": _health_is_right,
    "verify": _verify_is_right,
    "du": _du_is_right,
}


def test_reads_are_whole_and_true_while_others_write_and_delete(
    place: Place, schema: jsonschema.Draft202012Validator
) -> None:
    crowd, readers = Crowd(place), Readers(place)
    lies: list[str] = []
    healthy: set[str] = set()
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(BETWEEN_FREEZES)
            with crowd.frozen():
                answer = place.ask(*LIST)
                readers.answers.append(answer)
                listed = models_in(answer)
                lies += untrue(place, listed)
                healthy |= {model["name"] for model in listed if model["health"] == "healthy"}
        ends = crowd.end()
    finally:
        crowd.kill()
        answers = readers.end()
    for answer in answers:
        check_against(schema, answer.out)
    assert [problem for answer in answers for problem in problems_of(answer)] == []
    assert lies == []
    assert [end for end in ends if "InternalError" in end or "no JSON" in end] == []
    assert [path for path in place.root.rglob(".locks/**/*.lock") if is_held(str(path))] == []
    _check_that_much_happened(answers, ends, healthy)
    _check_that_the_cache_is_in_order(place)


def _check_that_much_happened(answers: list[Answer], ends: Counter[str], healthy: set[str]) -> None:
    """Or else nothing was tested."""
    asked = Counter(answer.command for answer in answers)
    done = Counter(end.partition(":")[0] for end in ends.elements() if end.endswith(": success"))
    assert min(asked.values()) >= 3, asked
    assert set(done) == {act.__name__ for acts in ROLES.values() for act in acts}
    assert healthy > set(STABLE), ends


def _check_that_the_cache_is_in_order(place: Place) -> None:
    """Whatever was left behind, a pull mends it and a deletion takes all of it away."""
    for name in NAMES:
        pulled = place.ask("pull", name, "--repair", "--json")
        assert pulled.code == 0, pulled
    listed = models_in(place.ask(*LIST))
    assert {model["name"]: model["health"] for model in listed} == dict.fromkeys((*NAMES, *STABLE), "healthy")
    assert untrue(place, listed) == []
    assert place.ask("verify").code == 0
    assert place.ask("rm", "org/*", "--force").code == 0
    assert [model["name"] for model in models_in(place.ask(*LIST))] == list(STABLE)
    assert not (place.root / ".locks" / ".mlxk2-trash").exists()
