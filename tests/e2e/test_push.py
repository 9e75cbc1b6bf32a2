"""`push` as a process: through Xet and over HTTP, on a terminal, interrupted, and without a word about the token."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MLXK2, Process, Program, environment
from tests.e2e.pulling import Started, small_model, snapshot_of, start, until
from tests.e2e.test_process import on_a_terminal
from tests.loopback_hub import LoopbackHub, faults

NAME = "org/model"
TOKEN = "hf_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV"  # noqa: S105 - of a test
FILES = small_model()
AT_HOME = {".env": f"HF_TOKEN={TOKEN}\n".encode(), ".git/config": b"[core]\n", "sub/x.pyc": b"", ".DS_Store": b""}


@pytest.fixture
def server() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        server.add_token(TOKEN, user="ann", write=True)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for path, content in {**FILES, **AT_HOME}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def env(server: LoopbackHub, tmp_path: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": server.endpoint, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}


Push = Callable[..., Process]


@pytest.fixture
def push(program: Program, folder: Path, env: dict[str, str], tmp_path: Path) -> Push:
    """`push("--private", "--json", HF_DEBUG="1")`: the finished process; the token is in none of its output."""

    def push(*options: str, **more: str) -> Process:
        run = program("push", str(folder), NAME, *options, cache=tmp_path / "hub", **{**env, **more})
        assert TOKEN not in run.stdout + run.stderr
        return run

    return push


def data(run: Process) -> Any:
    document = json.loads(run.stdout)
    assert (run.returncode, document["status"], document["error"]) == (0, "success", None)
    return document["data"]


@pytest.mark.parametrize("transport", ["xet", "http"])
def test_a_folder_becomes_a_private_repo_and_a_second_push_changes_nothing(
    push: Push, server: LoopbackHub, transport: str
) -> None:
    more = {"HF_HUB_DISABLE_XET": "1"} if transport == "http" else {}
    made = push("--private", "--create", **more)
    head = server.head(NAME)
    assert (made.returncode, made.stdout) == (
        0,
        f"{NAME}: repo made, 5 files added in commit {head[:12]} ({server.endpoint}/{NAME}/commit/{head})\n",
    )
    assert made.stderr.splitlines() == [
        "Secrets stay at home: .env",
        "2 files and 1 folder stay at home (caches, leftovers, .hfignore); see --verbose",
        "Uploading 5 files, 300.5 KB",
    ]
    assert server.model(NAME).private
    files = server.files(NAME)
    del files[".gitattributes"]
    assert files == FILES
    assert (server.model(NAME).head.files["model.safetensors"].xet_hash is not None) is (transport == "xet")
    assert not any(request.has_authorization for request in server.requests if request.port == "cdn")
    assert data(push("--private", "--json", **more))["no_changes"] is True
    assert server.head(NAME) == head


def test_what_was_pushed_can_be_pulled(
    push: Push, program: Program, server: LoopbackHub, env: dict[str, str], tmp_path: Path
) -> None:
    push("--private", "--create")
    cache = tmp_path / "hub"
    assert program("pull", NAME, cache=cache, **env).returncode == 0
    pulled = snapshot_of(cache)
    assert pulled.pop(".gitattributes") == server.files(NAME)[".gitattributes"]
    assert pulled == FILES


def test_a_check_needs_no_network(push: Push, server: LoopbackHub) -> None:
    run = push("--check-only", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert run.returncode == 0
    assert run.stdout == f"5 files (300.5 KB) would go to {NAME}; as a model: healthy\n"
    assert server.requests == []


def test_offline_mode_sends_nothing(push: Push, server: LoopbackHub) -> None:
    run = push("--private", "--create", "--json", HF_HUB_OFFLINE="1")
    assert (run.returncode, json.loads(run.stdout)["error"]["type"]) == (2, "NetworkError")
    assert server.requests == []


@pytest.mark.parametrize("more", [{"HF_DEBUG": "1"}, {"HF_HUB_VERBOSITY": "debug"}])
def test_the_most_talkative_huggingface_hub_says_nothing_of_the_token(push: Push, more: dict[str, str]) -> None:
    run = push("--private", "--create", "--verbose", "--json", **more)
    assert json.loads(run.stdout)["status"] == "success"
    assert "hf_logs" in json.loads(run.stdout)["data"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_that_is_refused_is_not_printed(push: Push, server: LoopbackHub, status: int) -> None:
    echo = faults.Status(status, message=f"Bearer {TOKEN} is wrong", body=f"Bearer {TOKEN}".encode())
    server.break_("/api/", echo, times=None)
    run = push("--private", "--create", "--verbose", "--json")
    assert (run.returncode, json.loads(run.stdout)["status"]) == (2, "error")


def test_on_a_terminal_there_are_bars_and_the_result_stays(
    server: LoopbackHub, folder: Path, env: dict[str, str], tmp_path: Path
) -> None:
    argv = ["push", str(folder), NAME, "--private", "--create"]
    code, screen = on_a_terminal(argv, tmp_path / "hub", b"", **env, COLUMNS="100")
    assert code == 0
    assert "model.safetensors: 100%" in screen
    assert f"{NAME}: repo made, 5 files added in commit {server.head(NAME)[:12]}" in screen
    assert TOKEN not in screen


@pytest.fixture
def begin(folder: Path, env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """`begin("--json")` → the running process."""
    running: list[Started] = []

    def begin(*options: str) -> Started:
        argv = ("push", str(folder), NAME, "--private", *options)
        running.append(start([MLXK2, *argv], environment(tmp_path / "hub", **env), tmp_path))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.wait()
        assert TOKEN not in each.out.read_text() + each.err.read_text()


STALL = faults.Stall(after=0, seconds=60.0)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("/revision/main", STALL),
        ("/preupload/main", STALL),
        ("/v1/xorbs/", STALL),
        ("/commit/main", faults.Status(503, headers={"Retry-After": "60"})),
    ],
)
def test_ctrl_c_ends_it_at_once_and_nothing_is_committed(
    begin: Callable[..., Started], server: LoopbackHub, place: str, fault: faults.Fault
) -> None:
    before = server.add_model(NAME, {"config.json": b"{}"}, private=True)
    server.break_(place, fault)
    running = begin()
    until(lambda: any(place in request.path and request.status for request in server.requests))
    running.process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    code, out, err = running.finish()
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith("mlxk2: Interrupted")
    assert time.monotonic() - asked < 20.0
    assert server.head(NAME) == before


def test_ctrl_c_is_an_error_for_programs_too(begin: Callable[..., Started], server: LoopbackHub) -> None:
    server.add_model(NAME, {"config.json": b"{}"}, private=True)
    server.break_("/preupload/main", STALL)
    running = begin("--json")
    until(lambda: any("/preupload/" in request.path for request in server.requests))
    running.process.send_signal(signal.SIGINT)
    code, out, _ = running.finish()
    assert (code, json.loads(out)["error"]) == (
        130,
        {
            "type": "Interrupted",
            "message": f"Interrupted; whether the commit was made shows on {server.endpoint}/{NAME}; pushing again"
            " sends only what is missing",
        },
    )


def test_who_comes_second_is_told_of_the_conflict(begin: Callable[..., Started], server: LoopbackHub) -> None:
    server.add_model(NAME, {"config.json": b"{}"}, private=True)
    server.break_("/preupload/main", faults.Stall(after=0, seconds=0.5))
    running = begin()
    until(lambda: any("/preupload/" in request.path for request in server.requests))
    theirs = server.change(NAME, {"config.json": b"[]"})
    code, out, err = running.finish()
    assert (code, out) == (1, "")
    assert err.endswith("was changed on the Hub meanwhile; nothing was committed: try --dry-run and push again\n")
    assert server.head(NAME) == theirs
