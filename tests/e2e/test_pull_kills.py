"""kill -9 while `pull` works: the cache is as it was, or complete, or visibly unfinished; and hardly a byte is lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import huggingface_hub
import pytest
from huggingface_hub import close_session

from mlxk2.testing import Run
from mlxk2.testing.plugin import CommandLine
from tests.e2e.conftest import MLXK2, environment
from tests.e2e.pulling import (
    FOLDER,
    NAME,
    TEXTS,
    etag,
    partials,
    reasons,
    shards,
    small_model,
    snapshot_of,
    total,
    until,
    wrong_blobs,
)
from tests.e2e.resuming import Resuming
from tests.loopback_hub import LoopbackHub, faults

MIB = 1024 * 1024
LARGE = {**TEXTS, **shards(35 * MIB, 6 * MIB, 4 * MIB, 3 * MIB)}
"""The first file has more than one segment."""
SIZE = total(LARGE)
KILLS = 50
FILES = small_model(2000)


def begin(hub: LoopbackHub, root: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [MLXK2, "pull", NAME, *options],
        env=environment(root, HF_ENDPOINT=hub.endpoint),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def falsely_healthy(root: Path) -> list[str]:
    """Blobs that are wrong in a model that health calls healthy."""
    return wrong_blobs(root) if reasons(root).get(NAME, "not there") is None else []


def test_in_spite_of_fifty_kills_nothing_on_the_disk_is_asked_for_again_and_no_verdict_is_false(
    hub: LoopbackHub, root: Path
) -> None:
    hub.add_model(NAME, LARGE)
    # Slowly: what is under way at a kill is lost, and that should be little on a busy machine, too.
    hub.break_("/lfs/", faults.Drip(MIB), times=None)
    random = Random(4711)  # noqa: S311 - the same moments every time
    resuming = Resuming(hub, root, LARGE)
    killed, there = 0, 0
    for number in range(KILLS):
        before, started = hub.bytes_sent(), time.monotonic()
        rest = max(0, SIZE - before) / (KILLS - number)
        share = 0 if number % 5 == 0 else random.uniform(0, 2 * rest)  # the first of five dies while it starts
        delay = random.uniform(0.05, 0.4) if share == 0 else random.uniform(0, 0.02)
        process = begin(hub, root)
        while process.poll() is None and hub.bytes_sent() - before < share:
            time.sleep(0.002)
        time.sleep(max(0.0, delay - (time.monotonic() - started)) if share == 0 else delay)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        assert falsely_healthy(root) == []
        there = resuming.look()
    hub.heal()
    assert begin(hub, root).wait() == 0
    assert resuming.repeated() == []
    assert there >= MIB  # of weights, so that something could have been asked for again
    assert killed >= 0.9 * KILLS
    assert snapshot_of(root) == LARGE
    assert (reasons(root), wrong_blobs(root), partials(root)) == ({NAME: None}, [], [])
    assert hub.bytes_sent() <= 1.1 * SIZE


KILLED = """
import os, signal
from mlxk2.cli import main

def dying(real, after):
    def call(*args, **keywords):
        hit = {condition}(*(str(arg) for arg in args[:2]))
        if hit and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **keywords)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

os.{function} = dying(os.{function}, after={after})
main(["pull", {name!r}])
"""
NAMES = {
    "the listing": "'/trees/' in new",
    "a blob": f"new.endswith('{etag('model.safetensors', FILES['model.safetensors'])}')",
    "the first link": "'/snapshots/' in new",
    "a link": "new.endswith('/model.safetensors')",
    "the last link": "new.endswith('/tokenizer_config.json')",
    "the ref": "'/refs/' in new",
}
"""What gets its name at some moment, and how that moment is known."""


class Remains(NamedTuple):
    """The cache that a pull of a small model left when it was killed at a step, and the bytes that it had got."""

    step: str
    root: Path
    sent: int


@pytest.fixture(scope="module")
def small_hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add_model(NAME, FILES)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)  # it asks the Hub for odd things
            yield hub
        close_session()


@pytest.fixture(
    scope="module",
    params=[(what, after) for what in NAMES for after in (False, True)],
    ids=lambda step: f"{'after' if step[1] else 'before'} {step[0]} has its name",
)
def remains(
    request: pytest.FixtureRequest, small_hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory
) -> Remains:
    what, after = request.param
    root = tmp_path_factory.mktemp("remains") / "hub"
    small_hub.forget_requests()
    kill(small_hub, root, NAMES[what], after=after)
    return Remains(what, root, small_hub.bytes_sent())


@pytest.fixture
def left(remains: Remains, root: Path) -> Path:
    """A copy of the cache as the kill left it."""
    shutil.copytree(remains.root, root, symlinks=True)
    return root


@pytest.fixture
def pull_again(
    cli: CommandLine, small_hub: LoopbackHub, left: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Run]:
    """The next pull, on the cache that the kill left."""
    monkeypatch.setenv("HF_ENDPOINT", small_hub.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(left))
    small_hub.forget_requests()
    return lambda: cli("pull", NAME)


def kill(hub: LoopbackHub, root: Path, moment: str, *, after: bool = False, function: str = "replace") -> None:
    """Let a pull kill itself when it calls a function of `os` with the right `old` and `new`."""
    condition = f"(lambda old, new: {moment})"
    code = KILLED.format(name=NAME, condition=condition, function=function, after=after)
    env = environment(root, HF_ENDPOINT=hub.endpoint)
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr


def test_a_kill_at_any_step_leaves_a_model_that_is_whole_or_not_called_healthy(left: Path) -> None:
    assert falsely_healthy(left) == []
    if reasons(left)[NAME] is None:
        folders = list((left / FOLDER / "snapshots").iterdir())
        assert [snapshot_of(left, folder.name) for folder in folders] == [FILES]


def test_after_a_kill_at_any_step_the_next_pull_finishes(pull_again: Callable[[], Run], left: Path) -> None:
    assert pull_again().code == 0
    assert (reasons(left), wrong_blobs(left), partials(left)) == ({NAME: None}, [], [])
    assert {path: content for path, content in snapshot_of(left).items() if path in FILES} == FILES


def test_after_a_kill_at_any_step_nothing_that_had_come_is_fetched_again(
    pull_again: Callable[[], Run], remains: Remains, small_hub: LoopbackHub
) -> None:
    pull_again()
    under_way = total(TEXTS) if remains.step == "a blob" else 0  # files that come beside the weights
    assert remains.sent + small_hub.bytes_sent() <= total(FILES) + under_way


def test_a_kill_at_any_step_leaves_nothing_odd_in_the_folder_of_the_model(
    pull_again: Callable[[], Run], left: Path
) -> None:
    pull_again()
    folder = left / FOLDER
    (commit,) = os.listdir(folder / "snapshots")
    assert os.listdir(folder / "refs") == ["main"]
    assert os.listdir(folder / "trees") == [f"{commit}.json"]
    assert sorted(os.listdir(folder / "snapshots" / commit)) == sorted(FILES)
    assert len(os.listdir(folder / "blobs")) == len(FILES)


def test_after_a_kill_at_any_step_huggingface_hub_finds_the_cache_in_order(
    pull_again: Callable[[], Run], left: Path
) -> None:
    pull_again()
    report = huggingface_hub.scan_cache_dir(left)
    ((revision,),) = [repo.revisions for repo in report.repos]
    assert (report.warnings, revision.refs) == ([], frozenset({"main"}))


@pytest.mark.parametrize("moment", ["'/refs/' in new", "'/snapshots/' in new", "'/blobs/' in new"])
def test_a_kill_during_an_update_leaves_the_revision_of_before_in_use(
    hub: LoopbackHub, root: Path, moment: str
) -> None:
    hub.add_model(NAME, FILES)
    assert begin(hub, root).wait() == 0
    hub.change(NAME, {"README.md": b"new words"})
    kill(hub, root, moment)
    assert reasons(root) == {NAME: None}
    assert snapshot_of(root) == FILES


def test_a_kill_during_a_repair_leaves_the_damage_visible(hub: LoopbackHub, root: Path) -> None:
    hub.add_model(NAME, FILES)
    assert begin(hub, root).wait() == 0
    link = root / FOLDER / "snapshots" / hub.head(NAME) / "model.safetensors"
    blob = link.resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\xff")
    hub.break_("model.safetensors", faults.Stall(100, 60.0), port="cdn")
    process = begin(hub, root, "--repair")
    until(lambda: hub.bytes_sent("model.safetensors") == len(FILES["model.safetensors"]) + 100)
    process.kill()
    process.wait()
    assert reasons(root)[NAME] is not None


def test_a_kill_during_an_update_leaves_a_revision_without_a_listing_in_use(hub: LoopbackHub, root: Path) -> None:
    hub.add_model(NAME, FILES)
    assert begin(hub, root).wait() == 0
    shutil.rmtree(root / FOLDER / "trees")  # as in a cache that an older huggingface_hub has made
    hub.change(NAME, {"model.safetensors": small_model(200_000)["model.safetensors"]})
    hub.break_("model.safetensors", faults.Stall(100_000, 60.0), port="cdn")
    process = begin(hub, root)
    until(lambda: hub.bytes_sent("model.safetensors") == len(FILES["model.safetensors"]) + 100_000)
    assert partials(root) != []
    process.kill()
    process.wait()
    assert reasons(root) == {NAME: None}


def test_whoever_waits_for_a_process_that_is_killed_goes_on_from_there(hub: LoopbackHub, root: Path) -> None:
    files = small_model(200_000)
    hub.add_model(NAME, files)
    hub.break_("model.safetensors", faults.Stall(100_000, 60.0), port="cdn")
    leading = begin(hub, root)
    blobs = root / FOLDER / "blobs"
    own = blobs / f"{etag('model.safetensors', files['model.safetensors'])}.6d6c786b.incomplete"
    until(
        lambda: own.exists() and int.from_bytes(own.read_bytes()[-8:], "little") == 100_000
    )  # the count at the end of its map
    waiting = begin(hub, root)
    until(lambda: [request.path for request in hub.requests].count(f"/api/models/{NAME}/revision/main") == 2)
    leading.kill()
    leading.wait()
    assert waiting.wait() == 0
    assert (snapshot_of(root), partials(root)) == (files, [])
    assert hub.bytes_sent() == total(files)


@pytest.mark.parametrize("function", ["rename", "ftruncate"])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_while_the_piece_of_another_program_is_taken_over_does_not_lose_it(
    hub: LoopbackHub, root: Path, function: str, after: bool
) -> None:
    files = small_model(200_000)
    content = files["model.safetensors"]
    hub.add_model(NAME, files)
    blobs = root / FOLDER / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{etag('model.safetensors', content)}.0123abcd.incomplete").write_bytes(content[:150_000])
    moment = {"rename": "'0123abcd' in old", "ftruncate": "new == '150000'"}[function]
    kill(hub, root, moment, after=after, function=function)
    assert begin(hub, root).wait() == 0
    assert hub.bytes_sent("model.safetensors") == len(content) - 150_000
