"""`prune` as a process of its own beside programs that download into the same cache: none of them loses a byte."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import MLXK2, environment
from tests.e2e.pulling import (
    FOLDER,
    NAME,
    TEXTS,
    etag,
    partials,
    reasons,
    small_model,
    snapshot_of,
    start,
    until,
    weights,
    wrong_blobs,
)
from tests.loopback_hub import LoopbackHub, faults

FILES = small_model(300_000)
WEIGHTS = etag("model.safetensors", FILES["model.safetensors"])
DOWNLOADS = 40
SECONDS = 120.0
SNAPSHOT_DOWNLOAD = "import sys\nfrom huggingface_hub import snapshot_download\nsnapshot_download(*sys.argv[1:2])"
BY_HUGGINGFACE_HUB = """
from huggingface_hub import snapshot_download
def download(name):
    return Path(snapshot_download(name))
"""
BY_MLXK2 = """
import io
from contextlib import redirect_stderr, redirect_stdout
from mlxk2.cli import main
def download(name):
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(["pull", name])
    if code:
        sys.exit(said.getvalue())
    return folder / "snapshots" / (folder / "refs" / "main").read_text()
"""
OVER_AND_OVER = """
import shutil, sys, time
from pathlib import Path
{download}
name, folder, rounds, large = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
for number in range(rounds):
    place = download(name)
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in place.iterdir()):  # a blob went before its link came: it is put back
        if time.monotonic() > deadline:
            sys.exit(f"round {{number}}: a link stays broken")
        time.sleep(0.01)
    assert (place / "model.safetensors").stat().st_size == int(large)
    shutil.rmtree(folder / "snapshots")
"""


def prune(root: Path, *options: str) -> list[tuple[str, str]]:
    """Kind and name of what the program has deleted."""
    result = subprocess.run(
        [MLXK2, "prune", "--force", "--json", *options],
        env=environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    rows = json.loads(result.stdout)["data"]["leftovers"]
    return [(row["kind"], row["name"]) for row in rows if row["action"] == "deleted"]


def leave_behind(root: Path) -> set[Path]:
    """What is left over in the model's folder, whatever is downloaded there."""
    blobs = root / FOLDER / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    made = {blobs / ("9" * 64), blobs / f"{'8' * 64}.0123abcd.incomplete"}
    for path in made:
        path.write_bytes(b"left over")
    return made


@pytest.mark.parametrize("program", ["huggingface_hub", "mlxk2"])
def test_a_download_that_runs_keeps_everything_it_needs(
    hub: LoopbackHub, root: Path, tmp_path: Path, program: str
) -> None:
    hub.add_model(NAME, FILES)
    hub.break_("/lfs/", faults.Drip(60_000))
    commands = {"mlxk2": (str(MLXK2), "pull", NAME), "huggingface_hub": (sys.executable, "-c", SNAPSHOT_DOWNLOAD, NAME)}
    download = start(commands[program], environment(root, HF_ENDPOINT=hub.endpoint), tmp_path)
    until(lambda: WEIGHTS in partials(root), SECONDS)
    left = leave_behind(root)
    rounds = 0
    deleted = prune(root)
    while WEIGHTS in partials(root):
        assert not {kind for kind, _ in deleted if kind in ("revision", "blob", "folder")}
        rounds += 1
        deleted = prune(root)
    assert rounds
    assert download.finish(SECONDS)[0] == 0
    assert snapshot_of(root) == FILES
    prune(root)
    assert not any(path.exists() for path in left)
    assert (snapshot_of(root), wrong_blobs(root), reasons(root)) == (FILES, [], {NAME: None})


def test_a_broken_off_download_is_freed_and_comes_whole_again(hub: LoopbackHub, root: Path, tmp_path: Path) -> None:
    hub.add_model(NAME, FILES)
    hub.break_("/lfs/", faults.Stall(after=100_000, seconds=60))
    env = environment(root, HF_ENDPOINT=hub.endpoint)
    download = start([sys.executable, "-c", SNAPSHOT_DOWNLOAD, NAME], env, tmp_path)
    until(lambda: WEIGHTS in partials(root), SECONDS)
    download.process.kill()
    download.process.wait()
    deleted = prune(root)
    assert "partial" in {kind for kind, _ in deleted}
    assert (WEIGHTS in partials(root), prune(root)) == (False, [])
    hub.heal()
    subprocess.run([sys.executable, "-c", SNAPSHOT_DOWNLOAD, NAME], env=env, check=True, capture_output=True)
    assert snapshot_of(root) == FILES


@pytest.mark.parametrize(
    ("download", "xet"),
    [(BY_HUGGINGFACE_HUB, False), (BY_HUGGINGFACE_HUB, True), (BY_MLXK2, False)],
    ids=["huggingface_hub", "huggingface_hub-xet", "mlxk2"],
)
def test_downloads_over_and_over_beside_prunes_over_and_over_lose_nothing(
    hub: LoopbackHub, root: Path, tmp_path: Path, download: str, *, xet: bool
) -> None:
    """Each download finds the blobs of the one before, which no snapshot uses, unless a prune has taken them."""
    hub.add_model(NAME, FILES, xet=xet)
    env = environment(root, HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path / "home"), HF_HUB_DISABLE_PROGRESS_BARS="1")
    size = str(len(FILES["model.safetensors"]))
    downloads = start(
        [
            *(sys.executable, "-c", OVER_AND_OVER.format(download=download)),
            *(NAME, str(root / FOLDER), str(DOWNLOADS), size),
        ],
        env,
        tmp_path,
    )
    freed = set()
    while downloads.process.poll() is None:
        freed |= {kind for kind, _ in prune(root)}
    code, _, err = downloads.finish(SECONDS)
    assert (code, err) == (0, "")
    assert "blob" in freed
    subprocess.run([sys.executable, "-c", SNAPSHOT_DOWNLOAD, NAME], env=env, check=True, capture_output=True)
    prune(root)
    assert (snapshot_of(root), wrong_blobs(root), reasons(root)) == (FILES, [], {NAME: None})


def test_what_models_share_through_xet_stays_until_the_last_of_them_goes(
    hub: LoopbackHub, root: Path, tmp_path: Path
) -> None:
    other, content = "org/other", weights(200_000)
    commits = {name: hub.add_model(name, {**TEXTS, "model.safetensors": content}, xet=True) for name in (NAME, other)}
    env = environment(root, HF_ENDPOINT=hub.endpoint, HF_HOME=str(tmp_path / "home"))
    for name in commits:
        subprocess.run([sys.executable, "-c", SNAPSHOT_DOWNLOAD, name], env=env, check=True, capture_output=True)
    payloads = [path for path in (root / "blobs").glob("??/*") if not path.suffix]
    assert [path.read_bytes() for path in payloads] == [content]
    for ref in (root / FOLDER / "refs").iterdir():
        ref.unlink()
    _age(root / FOLDER)
    assert ("folder", "") in prune(root)
    assert not (root / FOLDER).exists()
    assert (root / "models--org--other" / "refs" / "main").exists()
    assert [path.read_bytes() for path in (root / "models--org--other").glob("snapshots/*/model.safetensors")] == [
        content
    ]
    (root / "models--org--other" / "refs" / "main").unlink()
    _age(root / "models--org--other")
    prune(root)
    assert not any(path.exists() for path in payloads)


def _age(folder: Path) -> None:
    """Nothing in it has changed for a day."""
    for place, _, files in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in files)):
            os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
