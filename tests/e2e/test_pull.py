"""`pull` against a Hub on the loopback device, with huggingface_hub as its neighbour and judge.

What a pull does to the cache is tested on the program within this process; its errors, its events, Ctrl-C and its
company are tested on processes.
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import huggingface_hub
import jsonschema
import pytest
from huggingface_hub import close_session

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.memory import MemoryContent
from mlxk2.adapters.memory.source import source_file
from mlxk2.ports.transfer import Delivery, unwatched
from mlxk2.testing import Run, StoredModel, hold_lock
from mlxk2.testing.plugin import CommandLine
from tests.e2e.conftest import MLXK2, Process, Program, environment
from tests.e2e.pulling import (
    FOLDER,
    IN_PROGRESS,
    NAME,
    OWN_PARTIAL,
    TEXTS,
    TOKEN,
    Started,
    etag,
    no_thread_left,
    noise,
    partials,
    reasons,
    sent_to_storage_with_a_token,
    small_model,
    snapshot_of,
    start,
    total,
    until,
    weights,
    wrong_blobs,
)
from tests.loopback_hub import LoopbackHub, faults

CANNOT_RUN = "" if find_spec("mlx_lm") else "; it cannot be run here: mlx-lm is not installed"
"""What a pull adds where only the Hub is tested (`make oldest`)."""
FILES = small_model()
SIZE = total(FILES)
WEIGHTS = "model.safetensors"
ETAG = etag(WEIGHTS, FILES[WEIGHTS])
INFO = f"/api/models/{NAME}"
HF = MLXK2.with_name("hf")
SLACK = 64 * 1024
"""Bytes that may be on their way to a process when it ends."""
LARGE = {**TEXTS, WEIGHTS: weights(24_000_000)}

Pull = Callable[..., Run]
Start = Callable[..., Started]


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)  # it asks the Hub for odd things
        yield
    close_session()


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A Hub with one model; no token that it gets ever goes on to its storage."""
    with LoopbackHub() as hub:
        hub.add_model(NAME, FILES)
        hub.add_token(TOKEN, user="me")
        yield hub
        assert sent_to_storage_with_a_token(hub) == []


@pytest.fixture
def env(hub: LoopbackHub, root: Path, tmp_path: Path) -> dict[str, str]:
    """For a process on this Hub and this cache, of mlxk2 or of huggingface_hub."""
    return environment(
        root,
        HF_ENDPOINT=hub.endpoint,
        HF_TOKEN=TOKEN,
        HF_HOME=str(tmp_path / "home"),
        HF_HUB_DOWNLOAD_TIMEOUT="5",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_UPDATE_CHECK="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )


@pytest.fixture
def pull(cli: CommandLine, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Pull:
    """`pull("--repair")`: the command, in this process; the token is in none of its output."""
    for key, value in env.items():
        monkeypatch.setenv(key, value)

    def call(*options: str, name: str = NAME) -> Run:
        with no_thread_left():
            run = cli("pull", name, *options)
        assert TOKEN not in run.out + run.err
        return run

    return call


@pytest.fixture
def process(program: Program, root: Path, env: dict[str, str]) -> Callable[..., Process]:
    """`process("--json")` → the finished process; the token is in none of its output."""

    def call(*options: str, name: str = NAME, **more: str) -> Process:
        result = program("pull", name, *options, cache=root, **{**env, **more})
        assert TOKEN not in result.stdout + result.stderr
        return result

    return call


@pytest.fixture
def begin(env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """`begin("pull", NAME)` → the running process."""
    running: list[Started] = []

    def call(*argv: str, program: Path = MLXK2, **more: str) -> Started:
        running.append(start([program, *argv], {**env, **more}, tmp_path))
        return running[-1]

    yield call
    for each in running:
        each.process.kill()
        each.process.wait()
        assert TOKEN not in each.out.read_text() + each.err.read_text()


def data(run: Run) -> dict[str, Any]:
    """The result in the one envelope on standard output."""
    document = json.loads(run.out)
    assert (run.code, document["status"], document["error"], run.out.count("\n")) == (0, "success", None, 1)
    found: dict[str, Any] = document["data"]
    return found


def error(out: str) -> dict[str, Any]:
    """The error in the one envelope on standard output."""
    document = json.loads(out)
    assert (document["status"], document["command"], out.count("\n")) == ("error", "pull", 1)
    assert document["data"]["download_status"] == "failed"
    found: dict[str, Any] = document["error"]
    return found


def flip(root: Path, path: str, place: int = -1) -> None:
    """Make one byte of a file in the cache wrong."""
    blob = root / FOLDER / "blobs" / etag(path, FILES[path])
    content = bytearray(blob.read_bytes())
    content[place] ^= 0xFF
    blob.write_bytes(content)


def fetched(hub: LoopbackHub) -> list[str]:
    """The files whose content was asked for."""
    paths = (request.path for request in hub.requests if request.bytes_sent and request.method == "GET")
    return sorted({path.rpartition("/")[2] for path in paths if not path.startswith("/api/")})


# What a pull makes.


def test_a_pull_brings_a_healthy_model_and_says_so(pull: Pull, root: Path) -> None:
    run = pull()
    assert run.code == 0
    words = r"org/model is in the cache \(revision \w{12}\); 5 files verified, 5 of them fetched \(300\.\d KB in .* s\)"
    assert re.fullmatch(f"{words}{CANNOT_RUN}\n", run.out)
    assert run.err.endswith('\nRun it with: mlxk2 run org/model "your question"\n') is not bool(CANNOT_RUN)
    assert snapshot_of(root) == FILES
    assert reasons(root) == {NAME: None}


def test_the_result_with_json_is_one_envelope(pull: Pull, hub: LoopbackHub) -> None:
    result = data(pull("--json"))
    assert (result["model"], result["download_status"], result["expanded_name"]) == (NAME, "success", None)
    assert (result["hash"], result["bytes_fetched"]) == (hub.head(NAME), SIZE)


def test_a_bare_name_means_mlx_community(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.add_model("mlx-community/tiny", FILES)
    result = data(pull("--json", name="tiny"))
    assert (result["model"], result["expanded_name"]) == ("mlx-community/tiny", "mlx-community/tiny")
    assert reasons(root) == {"mlx-community/tiny": None}


def test_nested_files_and_files_alike_come_out_right(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    files = {**FILES, "1_Pooling/config.json": b"{}", "a/b/c/d.json": b"{}", "empty.txt": b"", "sub/empty.txt": b""}
    hub.add_model(NAME, files)
    assert pull().code == 0
    assert snapshot_of(root) == files


def test_odd_names_of_files_come_out_right(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    files = {
        **FILES,
        "with space.txt": b"1",
        "ümläut.txt": b"2",
        "100%?.txt": b"3",
        "a#b&c.txt": b"4",
        "back\\slash.txt": b"5",
    }
    hub.add_model(NAME, files)
    assert pull().code == 0
    assert snapshot_of(root) == files


def test_huggingface_hub_finds_the_model_without_a_network(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    found = huggingface_hub.snapshot_download(NAME, cache_dir=root, local_files_only=True)
    assert Path(found) == root / FOLDER / "snapshots" / hub.head(NAME)
    assert huggingface_hub.try_to_load_from_cache(NAME, WEIGHTS, cache_dir=root) == f"{found}/{WEIGHTS}"


def test_huggingface_hub_sees_nothing_odd_in_the_cache(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    report = huggingface_hub.scan_cache_dir(root)
    (repo,) = report.repos
    (revision,) = repo.revisions
    assert report.warnings == []
    assert (revision.commit_hash, revision.nb_files) == (hub.head(NAME), len(FILES))
    assert revision.refs == frozenset({"main"})


def test_huggingface_hub_downloads_nothing_after_us(pull: Pull, begin: Start, hub: LoopbackHub) -> None:
    pull()
    hub.forget_requests()
    assert begin("download", NAME, program=HF).finish()[0] == 0
    assert hub.bytes_sent() == 0


def test_we_download_nothing_after_huggingface_hub(pull: Pull, begin: Start, hub: LoopbackHub, root: Path) -> None:
    assert begin("download", NAME, program=HF).finish()[0] == 0
    hub.forget_requests()
    assert data(pull("--json"))["download_status"] == "already_exists"
    assert hub.bytes_sent() == 0
    assert reasons(root) == {NAME: None}


# When there is nothing to do, and when there is.


def test_a_second_pull_has_nothing_to_do(pull: Pull, hub: LoopbackHub) -> None:
    pull()
    hub.forget_requests()
    result = data(pull("--json"))
    assert (result["download_status"], result["hash"], result["bytes_fetched"]) == ("already_exists", hub.head(NAME), 0)
    assert [request.path.startswith(INFO) for request in hub.requests] == [True]


def test_a_model_that_is_cut_short_does_not_exist_already(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    os.truncate(root / FOLDER / "blobs" / ETAG, 1000)
    hub.forget_requests()
    assert data(pull("--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES
    assert hub.bytes_sent() == len(FILES[WEIGHTS]) - 1000


@pytest.mark.parametrize("path", ["config.json", "README.md", WEIGHTS])
def test_a_model_that_lacks_a_file_does_not_exist_already(pull: Pull, root: Path, hub: LoopbackHub, path: str) -> None:
    pull()
    link = root / FOLDER / "snapshots" / hub.head(NAME) / path
    link.resolve().unlink()
    link.unlink()
    hub.forget_requests()
    assert data(pull("--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES
    assert fetched(hub) == [path]


def test_a_lost_link_is_made_again_without_a_download(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    (root / FOLDER / "snapshots" / hub.head(NAME) / "README.md").unlink()
    hub.forget_requests()
    assert data(pull("--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES
    assert hub.bytes_sent() == 0


def test_a_lost_ref_is_made_again_without_a_download(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    (root / FOLDER / "refs" / "main").unlink()
    hub.forget_requests()
    assert data(pull("--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES
    assert hub.bytes_sent() == 0


def test_an_update_fetches_what_is_new_and_moves_main(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    old = hub.head(NAME)
    new = hub.change(NAME, {"README.md": b"new words"})
    hub.forget_requests()
    run = pull()
    assert f"(revision {new[:12]}, was {old[:12]}); 5 files verified, 1 of them fetched (9 B in " in run.out
    assert (root / FOLDER / "refs" / "main").read_text() == new
    assert fetched(hub) == ["README.md"]


def test_an_update_keeps_the_revision_of_before(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    old = hub.head(NAME)
    new = hub.change(NAME, {"README.md": b"new words"})
    pull()
    assert snapshot_of(root, old) == FILES
    assert snapshot_of(root, new) == {**FILES, "README.md": b"new words"}


def test_an_update_that_fails_leaves_the_revision_of_before_in_use(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    hub.change(NAME, {WEIGHTS: weights(200_000, "other")})
    hub.break_(WEIGHTS, faults.Status(403), times=None, port="cdn")
    assert pull().code == 2
    assert reasons(root) == {NAME: None}
    assert snapshot_of(root) == FILES


def test_a_ref_that_went_back_is_followed(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    old = hub.head(NAME)
    hub.change(NAME, {"README.md": b"new words"})
    pull()
    hub.branch(NAME, "main", old)
    assert data(pull("--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES


@pytest.mark.parametrize("form", ["--revision", "@"])
@pytest.mark.parametrize("kind", ["branch", "tag", "commit", "nested/branch"])
def test_a_revision_is_pinned(pull: Pull, root: Path, hub: LoopbackHub, form: str, kind: str) -> None:
    old = hub.head(NAME)
    hub.branch(NAME, "branch", old)
    hub.branch(NAME, "nested/branch", old)
    hub.tag(NAME, "tag", old)
    hub.change(NAME, {"README.md": b"new words"})
    revision = old if kind == "commit" else kind
    run = pull(name=f"{NAME}@{revision}") if form == "@" else pull("--revision", revision)
    assert run.code == 0, run.err
    assert snapshot_of(root, old) == FILES
    refs = {
        path.relative_to(root / FOLDER / "refs").as_posix()
        for path in (root / FOLDER / "refs").rglob("*")
        if path.is_file()
    }
    assert refs == (set() if kind == "commit" else {kind})


def test_the_beginning_of_a_cached_commit_stands_for_it(pull: Pull, hub: LoopbackHub) -> None:
    pull()
    old = hub.head(NAME)
    hub.change(NAME, {"README.md": b"new words"})
    assert data(pull("--json", name=f"{NAME}@{old[:8]}"))["download_status"] == "already_exists"


def test_a_pinned_commit_exists_already_whatever_main_is(pull: Pull, hub: LoopbackHub) -> None:
    old = hub.head(NAME)
    hub.change(NAME, {"README.md": b"new words"})
    pull("--revision", old)
    pull()
    assert data(pull("--json", "--revision", old))["download_status"] == "already_exists"


def test_two_different_revisions_are_one_too_many(pull: Pull, hub: LoopbackHub) -> None:
    run = pull("--revision", "v1", "--json", name=f"{NAME}@v2")
    assert (run.code, json.loads(run.out)["error"]["type"]) == (1, "ValidationError")
    assert hub.requests == []


# --check-update


def test_check_update_of_a_model_that_is_not_here(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    result = data(pull("--check-update", "--json"))
    assert result["download_status"] == "unknown"
    assert result["update"] == {"available": True, "cached_hash": None, "hub_hash": hub.head(NAME)}
    assert not root.exists()


def test_check_update_of_a_model_that_is_up_to_date(pull: Pull, hub: LoopbackHub) -> None:
    pull()
    result = data(pull("--check-update", "--json"))
    assert result["download_status"] == "already_exists"
    assert result["update"] == {"available": False, "cached_hash": hub.head(NAME), "hub_hash": hub.head(NAME)}


def test_check_update_of_a_model_that_has_a_newer_one(pull: Pull, hub: LoopbackHub) -> None:
    pull()
    old = hub.head(NAME)
    new = hub.change(NAME, {"README.md": b"new words"})
    result = data(pull("--check-update", "--json"))
    assert result["update"] == {"available": True, "cached_hash": old, "hub_hash": new}
    assert "mlxk2 pull org/model" in result["message"]


def test_check_update_downloads_and_changes_nothing(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    hub.change(NAME, {"README.md": b"new words"})
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))
    hub.forget_requests()
    assert pull("--check-update").code == 0
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*")) == before
    assert hub.bytes_sent() == 0


# Which files.

DUPLICATES = {
    "pytorch_model.bin": noise(3000, "bin"),
    "consolidated.00.pth": noise(3000, "pth"),
    "model-q4.gguf": noise(3000, "gguf"),
    "original/params.json": b"{}",
    "onnx/model.onnx": noise(3000, "onnx"),
}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), {*FILES}),
        (("--all-files",), {*FILES, *DUPLICATES}),
        (("--exclude", "README.md"), {*FILES} - {"README.md"}),
        (("--exclude", "*.md", "--exclude", "tokenizer*"), {"config.json", WEIGHTS}),
        (("--include", "*.gguf"), {"model-q4.gguf"}),
        (("--include", "config.json", "--include", "original/"), {"config.json", "original/params.json"}),
        (("--include", "*.json", "--exclude", "tokenizer*", "--exclude", "orig*"), {"config.json"}),
        (("--all-files", "--exclude", "*.bin"), {*FILES, *DUPLICATES} - {"pytorch_model.bin"}),
    ],
)
def test_the_files_that_are_wanted_come_and_no_others(
    pull: Pull, root: Path, hub: LoopbackHub, options: Sequence[str], wanted: set[str]
) -> None:
    hub.add_model(NAME, {**FILES, **DUPLICATES})
    assert pull(*options).code == 0
    assert set(snapshot_of(root)) == wanted
    assert fetched(hub) == sorted(path.rpartition("/")[2] for path in wanted)


def test_patterns_that_leave_nothing_are_refused_before_anything_is_written(pull: Pull, root: Path) -> None:
    run = pull("--include", "*.nothing", "--json")
    assert (run.code, error(run.out)["type"]) == (1, "ValidationError")
    assert not root.exists()


def test_more_files_come_to_a_model_that_is_here(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    hub.add_model(NAME, {**FILES, **DUPLICATES})
    pull()
    hub.forget_requests()
    assert data(pull("--all-files", "--json"))["download_status"] == "success"
    assert snapshot_of(root) == {**FILES, **DUPLICATES}
    assert hub.bytes_sent() == total(DUPLICATES)


# Damage.


@pytest.mark.parametrize("path", [WEIGHTS, "tokenizer.json"])
def test_repair_fetches_the_damaged_file_and_no_other(pull: Pull, root: Path, hub: LoopbackHub, path: str) -> None:
    pull()
    flip(root, path)
    hub.forget_requests()
    assert data(pull("--repair", "--json"))["download_status"] == "success"
    assert snapshot_of(root) == FILES
    assert fetched(hub) == [path]
    assert hub.bytes_sent() == len(FILES[path])


def test_repair_of_a_model_that_is_whole_fetches_nothing(pull: Pull, hub: LoopbackHub) -> None:
    pull()
    hub.forget_requests()
    run = pull("--repair")
    assert run.code == 0
    assert "5 files verified" in run.out
    assert hub.bytes_sent() == 0


def test_a_byte_that_is_wrong_in_an_unfinished_file_is_noticed(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    hub.break_(WEIGHTS, faults.Cut(200_000), port="cdn")
    hub.break_(WEIGHTS, faults.Status(403), port="cdn", skip=1, times=2)
    assert pull().code == 2
    with (root / FOLDER / "blobs" / f"{ETAG}{OWN_PARTIAL}").open("r+b") as file:
        file.write(b"wrong")
    assert pull().code == 0
    assert snapshot_of(root) == FILES


def test_what_is_known_to_be_damaged_is_not_called_healthy(pull: Pull, root: Path, hub: LoopbackHub) -> None:
    pull()
    flip(root, WEIGHTS)
    hub.break_(WEIGHTS, faults.Status(403), times=None, port="cdn")
    assert pull("--repair").code == 2
    assert reasons(root)[NAME] is not None


def test_the_hub_is_asked_for_the_model_and_for_nothing_else(begin: Start, hub: LoopbackHub) -> None:
    assert begin("pull", NAME, HF_HUB_DISABLE_TELEMETRY="").finish()[0] == 0
    assert [request.path for request in hub.requests if NAME not in request.path] == []


# Errors, in words and as envelopes.


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


Problem = tuple[str, dict[str, str], str, str]
"""A name to pull and the environment for it; the error's type, and some of its words."""
PROBLEMS: dict[str, Problem] = {
    "no such repo": ("org/none", {}, "model_not_found", "no model 'org/none'"),
    "no such revision": (f"{NAME}@nope", {}, "model_not_found", "no revision 'nope'"),
    "gated": ("org/gated", {}, "access_denied", "/org/gated"),
    "gated for the unknown": ("org/gated", {"HF_TOKEN": ""}, "access_denied", "hf auth login"),
    "a wrong token": (NAME, {"HF_TOKEN": f"{TOKEN}x"}, "auth_error", "does not accept your token"),
    "a token with a newline": (NAME, {"HF_TOKEN": f"{TOKEN}\n{TOKEN}"}, "auth_error", "does not accept your token"),
    "offline": (NAME, {"HF_HUB_OFFLINE": "1"}, "NetworkError", "HF_HUB_OFFLINE"),
    "nobody listens": (NAME, {"HF_ENDPOINT": "nobody"}, "NetworkError", "cannot be reached"),
    "an hour's wait": ("org/busy", {}, "rate_limited", "3600 seconds"),
    "refused by the storage": ("org/refused", {}, "auth_error", "may not read"),
    "always damaged": ("org/damaged", {}, "download_failed", "arrived damaged twice"),
}


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest, hub: LoopbackHub, nobody: str) -> Problem:
    hub.add_model("org/gated", FILES, gated=True)
    hub.add_model("org/busy", FILES)
    hub.add_model("org/refused", FILES)
    hub.add_model("org/damaged", FILES)
    hub.break_("org/busy", faults.Status(429, {"Retry-After": "3600"}), times=None)
    hub.break_("org/refused/model.safetensors", faults.Status(403), times=None)
    hub.break_("org/damaged/model.safetensors", faults.Flip(1), times=None)
    name, more, word, text = PROBLEMS[request.param]
    return name, {key: nobody if value == "nobody" else value for key, value in more.items()}, word, text


def test_a_problem_is_one_envelope_of_its_type(process: Callable[..., Process], problem: Problem) -> None:
    name, more, word, text = problem
    run = process("--json", name=name, **more)
    assert (run.returncode, error(run.stdout)["type"]) == (2, word)
    assert text in error(run.stdout)["message"]


def test_a_problem_is_one_sentence_with_the_next_step(process: Callable[..., Process], problem: Problem) -> None:
    name, more, _, text = problem
    run = process(name=name, **more)
    *_, last = run.stderr.splitlines()
    assert (run.returncode, run.stdout) == (2, "")
    assert last.startswith("mlxk2: ")
    assert text in last
    assert "Traceback" not in run.stderr


def test_offline_a_model_that_is_here_is_good_news(
    pull: Pull, process: Callable[..., Process], hub: LoopbackHub
) -> None:
    pull()
    run = process("--json", HF_HUB_OFFLINE="1")
    assert f"Revision {hub.head(NAME)[:12]} of it is in the cache and healthy" in error(run.stdout)["message"]
    run = process("--json", name=f"{NAME}@{hub.head(NAME)[:7]}", HF_HUB_OFFLINE="1")
    assert f"Revision {hub.head(NAME)[:12]} of it is in the cache and healthy" in error(run.stdout)["message"]


# The disk.


@pytest.fixture
def disk(root: Path) -> Iterator[Callable[[str], None]]:
    """`disk("size=200k")` makes the cache a small disk of its own, with such options."""
    root.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs to mount a small disk")

    yield mount
    subprocess.run(["umount", "-l", root], capture_output=True, check=False)


def test_a_disk_that_is_too_small_is_told_before_the_first_byte(
    process: Callable[..., Process], disk: Callable[[str], None], hub: LoopbackHub
) -> None:
    disk("size=200k")
    run = process("--json")
    assert (run.returncode, error(run.stdout)["type"]) == (3, "PermissionError")
    assert "needs 300.5 KB more" in error(run.stdout)["message"]
    assert re.search(r"has \d+\.\d KB left", error(run.stdout)["message"])
    assert hub.bytes_sent() == 0


def test_a_disk_that_fills_up_on_the_way_ends_the_pull_and_loses_nothing(
    begin: Start, pull: Pull, disk: Callable[[str], None], root: Path, hub: LoopbackHub
) -> None:
    disk("size=1m")
    hub.break_(WEIGHTS, faults.Drip(300_000), port="cdn")
    running = begin("pull", NAME, "--json")
    until(lambda: hub.bytes_sent(WEIGHTS) > 60_000)
    filler = root / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(1_000_000))
    code, out, _ = running.finish()
    assert (code, json.loads(out)["error"]["type"]) == (3, "PermissionError")
    assert "The disk is full" in json.loads(out)["error"]["message"]
    filler.unlink()
    assert pull().code == 0
    assert snapshot_of(root) == FILES
    assert hub.bytes_sent() <= SIZE + SLACK


def test_a_disk_that_is_read_only_is_a_problem_of_permission(
    process: Callable[..., Process], disk: Callable[[str], None], hub: LoopbackHub
) -> None:
    disk("ro")
    run = process("--json")
    assert (run.returncode, error(run.stdout)["type"]) == (3, "PermissionError")
    assert "read-only" in error(run.stdout)["message"]
    assert hub.bytes_sent() == 0


# --jsonl


def events(text: str, schema: jsonschema.Draft202012Validator) -> list[dict[str, Any]]:
    """Every line of the output, each valid under the published schema."""
    found = [json.loads(line) for line in text.splitlines()]
    whole: Any = schema.schema
    of_event = jsonschema.Draft202012Validator({"$ref": "#/$defs/event", "$defs": whole["$defs"]})
    for event in found:
        of_event.validate(event)
    return found


def test_events_begin_with_start_and_end_with_done(
    begin: Start, schema: jsonschema.Draft202012Validator, hub: LoopbackHub
) -> None:
    code, out, err = begin("pull", NAME, "--jsonl").finish()
    first, *middle, last = events(out, schema)
    assert (code, err) == (0, "")
    assert (first["event"], first["hash"], first["files"]) == ("start", hub.head(NAME), len(FILES))
    assert (first["bytes_total"], first["bytes_missing"]) == (SIZE, SIZE)
    assert {event["event"] for event in middle} <= {"progress", "verify"}
    assert (last["event"], last["data"]["download_status"]) == ("done", "success")


def test_every_file_is_verified_once(begin: Start, schema: jsonschema.Draft202012Validator) -> None:
    found = events(begin("pull", NAME, "--jsonl").finish()[1], schema)
    verified = [(event["name"], event["fetched"]) for event in found if event["event"] == "verify"]
    assert sorted(verified) == [(path, True) for path in sorted(FILES)]


def test_files_alike_are_verified_each_and_fetched_once(
    begin: Start, schema: jsonschema.Draft202012Validator, hub: LoopbackHub
) -> None:
    hub.add_model(NAME, {**FILES, "copy.json": FILES["config.json"], "sub/copy.json": FILES["config.json"]})
    found = events(begin("pull", NAME, "--jsonl").finish()[1], schema)
    verified = {event["name"]: event["fetched"] for event in found if event["event"] == "verify"}
    assert sorted(verified) == sorted([*FILES, "copy.json", "sub/copy.json"])
    assert hub.bytes_sent() == SIZE


def test_a_file_that_was_here_is_verified_and_not_fetched(
    begin: Start, pull: Pull, schema: jsonschema.Draft202012Validator, root: Path
) -> None:
    pull()
    flip(root, WEIGHTS)
    found = events(begin("pull", NAME, "--jsonl", "--repair").finish()[1], schema)
    verified = {event["name"]: event["fetched"] for event in found if event["event"] == "verify"}
    assert verified == {path: path == WEIGHTS for path in FILES}


def test_progress_comes_at_most_twice_a_second_and_never_goes_back(
    begin: Start, schema: jsonschema.Draft202012Validator, hub: LoopbackHub
) -> None:
    hub.break_(WEIGHTS, faults.Drip(200_000), port="cdn")
    running = begin("pull", NAME, "--jsonl")
    until(lambda: "start" in running.out.read_text())
    started = time.monotonic()
    found = events(running.finish()[1], schema)
    seconds = time.monotonic() - started
    done = [event["bytes_done"] for event in found if event["event"] == "progress"]
    assert 2 <= len(done) <= 2 * seconds + 1
    assert done == sorted(done)
    assert 0 < done[-1] <= SIZE


def test_an_event_comes_out_while_the_download_goes_on(begin: Start, hub: LoopbackHub) -> None:
    hub.break_(WEIGHTS, faults.Stall(100_000, 60.0), port="cdn")
    running = begin("pull", NAME, "--jsonl")
    until(lambda: '"progress"' in running.out.read_text())
    assert running.process.poll() is None


@pytest.mark.parametrize("place", [INFO, WEIGHTS])
def test_events_of_a_failure_end_with_the_error(
    begin: Start, schema: jsonschema.Draft202012Validator, hub: LoopbackHub, place: str
) -> None:
    hub.break_(place, faults.Status(403), times=None)
    code, out, err = begin("pull", NAME, "--jsonl").finish()
    found = events(out, schema)
    assert (code, err) == (2, "")
    assert (found[-1]["event"], found[-1]["error"]["type"]) == ("error", "auth_error")
    assert found[0]["event"] == ("error" if place == INFO else "start")


def test_events_of_a_pull_with_nothing_to_do_are_start_and_done(
    begin: Start, pull: Pull, schema: jsonschema.Draft202012Validator
) -> None:
    pull()
    found = events(begin("pull", NAME, "--jsonl").finish()[1], schema)
    assert [event["event"] for event in found] == ["start", "done"]
    assert (found[0]["bytes_missing"], found[1]["data"]["download_status"]) == (0, "already_exists")


def test_a_reader_of_events_that_goes_away_ends_the_pull_quietly(env: dict[str, str], hub: LoopbackHub) -> None:
    hub.break_(WEIGHTS, faults.Stall(100_000, 60.0), port="cdn")
    with subprocess.Popen(
        [MLXK2, "pull", NAME, "--jsonl"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


# Ctrl-C.


def interrupted(running: Started) -> tuple[int, str, str]:
    """Press Ctrl-C; the process ends within a second."""
    running.process.send_signal(signal.SIGINT)
    return running.finish(1.0)


def test_ctrl_c_ends_a_download_at_once_and_keeps_what_came(begin: Start, hub: LoopbackHub, root: Path) -> None:
    hub.break_(WEIGHTS, faults.Drip(200_000), port="cdn")
    running = begin("pull", NAME)
    until(lambda: hub.bytes_sent(WEIGHTS) > 100_000)
    code, out, err = interrupted(running)
    assert (code, out) == (130, "")
    assert err.endswith("mlxk2: Interrupted; what has been downloaded is kept, run the same command again to go on\n")
    assert partials(root) == [ETAG]
    assert reasons(root) == {NAME: "download incomplete"}


def test_the_pull_after_ctrl_c_fetches_only_the_rest(begin: Start, pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.break_(WEIGHTS, faults.Drip(200_000), port="cdn")
    running = begin("pull", NAME)
    until(lambda: hub.bytes_sent(WEIGHTS) > 100_000)
    interrupted(running)
    hub.forget_requests()
    assert pull().code == 0
    assert snapshot_of(root) == FILES
    assert fetched(hub) == [WEIGHTS]
    assert hub.bytes_sent() <= len(FILES[WEIGHTS]) - 100_000 + SLACK


@pytest.mark.parametrize(("option", "last"), [("--json", 0), ("--jsonl", -1)])
def test_ctrl_c_is_an_error_for_programs_too(begin: Start, hub: LoopbackHub, option: str, last: int) -> None:
    hub.break_(WEIGHTS, faults.Stall(1000, 60.0), port="cdn")
    running = begin("pull", NAME, option)
    until(lambda: hub.bytes_sent(WEIGHTS))
    code, out, _ = interrupted(running)
    assert (code, json.loads(out.splitlines()[last])["error"]["type"]) == (130, "Interrupted")


def test_ctrl_c_ends_the_wait_for_the_hub(begin: Start, hub: LoopbackHub) -> None:
    hub.break_(INFO, faults.Stall(0, 60.0))
    running = begin("pull", NAME)
    until(lambda: hub.requests)
    assert interrupted(running)[0] == 130


def test_ctrl_c_ends_the_pause_between_two_tries(begin: Start, hub: LoopbackHub) -> None:
    hub.break_(INFO, faults.Status(429, {"Retry-After": "60"}))
    running = begin("pull", NAME)
    until(lambda: "trying again in 60 s" in running.err.read_text())
    assert interrupted(running)[0] == 130


def test_ctrl_c_ends_the_wait_for_another_process(begin: Start, hub: LoopbackHub) -> None:
    hub.break_(WEIGHTS, faults.Stall(1000, 60.0), port="cdn")
    begin("pull", NAME)
    until(lambda: hub.bytes_sent(WEIGHTS))
    waiting = begin("pull", NAME)
    until(lambda: "waiting for it to finish" in waiting.err.read_text())
    assert interrupted(waiting)[0] == 130


# Company.


def test_of_several_pulls_at_once_one_downloads_and_the_others_wait(begin: Start, hub: LoopbackHub, root: Path) -> None:
    model = StoredModel(FOLDER, {}, {})
    with hold_lock(root, model, ETAG):  # nobody is done before all are under way
        running = [begin("pull", NAME) for _ in range(3)]
        until(lambda: sum("waiting for it to finish" in each.err.read_text() for each in running) == 2)
    ends = [each.finish() for each in running]
    assert [code for code, _, _ in ends] == [0, 0, 0]
    assert hub.bytes_sent() == SIZE
    assert snapshot_of(root) == FILES
    words = f"{NAME} is in the cache (revision {hub.head(NAME)[:12]}); 5 files verified, "
    assert sorted(out.partition(" (300")[0] for _, out, _ in ends) == [
        *[f"{words}0 of them fetched{CANNOT_RUN}\n"] * 2,
        f"{words}5 of them fetched",
    ]


def test_a_file_that_another_program_downloads_is_waited_for(begin: Start, root: Path) -> None:
    with hold_lock(root, StoredModel(FOLDER, {}, {}), ETAG):
        running = begin("pull", NAME)
        until(lambda: f"waiting for {WEIGHTS} to be finished" in running.err.read_text())
    assert running.finish()[0] == 0


def test_two_revisions_at_once_share_what_they_have_in_common(begin: Start, hub: LoopbackHub, root: Path) -> None:
    old = hub.head(NAME)
    new = hub.change(NAME, {"README.md": b"new words"})
    hub.break_(WEIGHTS, faults.Drip(400_000), port="cdn")
    running = [begin("pull", f"{NAME}@{commit}") for commit in (old, new)]
    assert [each.finish()[0] for each in running] == [0, 0]
    assert snapshot_of(root, old) == FILES
    assert snapshot_of(root, new) == {**FILES, "README.md": b"new words"}
    assert hub.bytes_sent() == SIZE + len(b"new words")


@pytest.mark.parametrize("first", ["hf", "mlxk2"])
def test_hf_and_we_share_the_work_on_one_cache(begin: Start, hub: LoopbackHub, root: Path, first: str) -> None:
    hub.break_(WEIGHTS, faults.Drip(400_000), port="cdn")
    ways: dict[str, tuple[str, Path]] = {"hf": ("download", HF), "mlxk2": ("pull", MLXK2)}
    command, program = ways.pop(first)
    running = begin(command, NAME, program=program)
    until(lambda: hub.bytes_sent(WEIGHTS))
    ((command, program),) = ways.values()
    ends = [each.finish() for each in (begin(command, NAME, program=program), running)]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert snapshot_of(root) == FILES
    assert (wrong_blobs(root), partials(root)) == ([], [])
    assert hub.bytes_sent() == SIZE


@pytest.fixture
def left_by_hf(begin: Start, hub: LoopbackHub, root: Path) -> int:
    """A killed `hf download` has left a piece of the weights; its length."""
    hub.add_model(NAME, LARGE)
    hub.break_(WEIGHTS, faults.Drip(25_000_000), port="cdn")
    pieces = f"{etag(WEIGHTS, LARGE[WEIGHTS])}*.incomplete"
    running = begin("download", NAME, program=HF)
    until(lambda: sum(path.stat().st_size for path in (root / FOLDER / "blobs").glob(pieces)) > 1_000_000)
    running.process.kill()
    running.finish()
    (piece,) = (root / FOLDER / "blobs").glob(pieces)
    hub.forget_requests()
    return piece.stat().st_size


def test_what_a_killed_hf_left_behind_is_not_fetched_again(
    pull: Pull, left_by_hf: int, hub: LoopbackHub, root: Path
) -> None:
    assert 1_000_000 < left_by_hf < len(LARGE[WEIGHTS])
    assert pull().code == 0
    assert hub.bytes_sent(WEIGHTS) == len(LARGE[WEIGHTS]) - left_by_hf
    assert snapshot_of(root) == LARGE
    assert partials(root) == []


def test_what_a_killed_hf_left_behind_counts_as_here(
    begin: Start, schema: jsonschema.Draft202012Validator, left_by_hf: int, hub: LoopbackHub
) -> None:
    first = events(begin("pull", NAME, "--jsonl").finish()[1], schema)[0]
    assert first["bytes_missing"] <= len(LARGE[WEIGHTS]) - left_by_hf + total(TEXTS) + 4096
    assert hub.bytes_sent(WEIGHTS) == len(LARGE[WEIGHTS]) - left_by_hf


# Looking on.


def test_health_and_list_say_that_a_download_is_in_progress_until_it_is_over(
    begin: Start, program: Program, hub: LoopbackHub, root: Path
) -> None:
    hub.break_(WEIGHTS, faults.Drip(120_000), port="cdn")
    running = begin("pull", NAME)
    until(lambda: (root / FOLDER).exists())
    seen: list[tuple[str, str | None, bool]] = []
    while not seen or seen[-1][0] != "healthy":
        over = running.process.poll() is not None
        health = json.loads(program("health", "--json", cache=root).stdout)["data"]
        (listed,) = json.loads(program("list", "--all", "--json", cache=root).stdout)["data"]["models"]
        rows = (*health["healthy"], *health["unhealthy"])
        seen.extend((row["status"], row["reason"], over) for row in rows)
        seen.append((listed["health"], listed["reason"], over))
    assert running.finish()[0] == 0
    during = [row for row in seen if row[0] != "healthy"]
    assert {row[1] for row in during} == {IN_PROGRESS}
    assert len(during) >= 4
    assert seen == sorted(seen, key=lambda row: row[0] == "healthy")
    assert hub.bytes_sent() == SIZE


def of_this_process(files: Mapping[str, bytes]) -> Delivery:
    """The files as they are put into the cache, without a Hub."""
    described = tuple(source_file(path, content) for path, content in sorted(files.items()))
    return Delivery(FOLDER, "a" * 40, "main", described, described, MemoryContent(files))


def test_whatever_a_pull_tells_health_calls_the_model_in_progress(root: Path) -> None:
    seen: list[dict[str, str | None]] = []
    HfCache(str(root)).install(of_this_process(FILES), lambda _: seen.append(reasons(root)))
    assert len(seen) > len(FILES)
    assert [verdict for verdict in seen if verdict != {NAME: IN_PROGRESS}] == []
    assert reasons(root) == {NAME: None}


def test_a_look_at_the_moment_when_a_pull_ends_sees_no_other_reason(tmp_path: Path) -> None:
    files = small_model(2000)
    seen: set[str | None] = set()
    over = False

    def look(root: Path) -> None:
        while not over:
            seen.update(reasons(root).values())

    with often_switching():
        for number in range(30):
            over, root = False, tmp_path / str(number)
            looking = Thread(target=look, args=(root,))
            looking.start()
            HfCache(str(root)).install(of_this_process(files), unwatched)
            over = True
            looking.join()
    assert seen <= {IN_PROGRESS, None}


def test_a_look_at_a_lock_is_not_taken_for_another_download(root: Path) -> None:
    path = root / "any.lock"
    path.parent.mkdir()
    told: list[str] = []
    looking = path.open("w")
    fcntl.flock(looking, fcntl.LOCK_SH)
    ending = Timer(0.01, looking.close)
    ending.start()
    with lock(str(path), waiting=lambda: told.append("waiting")):
        pass
    ending.join()
    assert told == []


@contextmanager
def often_switching() -> Iterator[None]:
    """Threads take turns as often as processes do."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
