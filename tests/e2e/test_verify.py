"""`verify` as a process of its own: damage on a real disk and its repair, Ctrl-C, kill -9, odd caches."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlxk2.testing import Placement, StoredFile, healthy_model, with_files, with_listing, write_cache
from mlxk2.testing.models import commit_of
from tests.conftest import check_against
from tests.e2e.conftest import MLXK2, environment
from tests.e2e.pulling import FOLDER, NAME, Started, small_model, start, until
from tests.loopback_hub import LoopbackHub

MODEL = healthy_model(NAME)
COMMIT = commit_of(NAME)
FILES = MODEL.revisions[COMMIT].files
DAMAGED = "is damaged: its content does not have its hash"
LARGE = 8 * (os.cpu_count() or 1)
"""Sparse files, so many that every core has to read several."""
LARGE_SIZE = 128_000_000


class Checks:
    """`verify` on one cache: the exit code and `data`."""

    def __init__(self, root: Path, schema: jsonschema.Draft202012Validator) -> None:
        self.root = root
        self._schema = schema

    def __call__(
        self, *options: str, prefix: tuple[str, ...] = (), memory: Path | None = None, command: str = "verify"
    ) -> tuple[int, Any]:
        result = subprocess.run(
            [*prefix, MLXK2, command, "--json", *options],
            env=environment(self.root, **({"XDG_CACHE_HOME": str(memory)} if memory else {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        check_against(self._schema, result.stdout)
        return result.returncode, json.loads(result.stdout)["data"]

    def health(self) -> dict[str, str | None]:
        """What `health` says afterwards, which reads no content."""
        return self.reasons(command="health")

    def reasons(self, *options: str, command: str = "verify") -> dict[str, str | None]:
        _, data = self(*options, command=command)
        return {row["name"]: row["reason"] for row in (*data["healthy"], *data["unhealthy"])}


@pytest.fixture
def verify(root: Path, schema: jsonschema.Draft202012Validator) -> Checks:
    return Checks(root, schema)


def flip(path: Path, place: int = -2) -> None:
    """Change one bit of a file, and its time as any writer does."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def blob_of(root: Path, path: str) -> Path:
    return root / FOLDER / "blobs" / FILES[path].etag


def pull(root: Path, hub: LoopbackHub, *options: str) -> str:
    result = subprocess.run(
        [MLXK2, "pull", NAME, *options],
        env=environment(root, HF_ENDPOINT=hub.endpoint),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


@pytest.mark.parametrize("path", ["model.safetensors", "README.md"])
def test_a_flipped_bit_is_found_and_repair_mends_it(hub: LoopbackHub, root: Path, verify: Checks, path: str) -> None:
    files = small_model()
    hub.add_model(NAME, files)
    pull(root, hub)
    size = sum(map(len, files.values()))
    code, data = verify()
    assert (code, data["summary"]["bytes_read"], data["summary"]["files_checked"]) == (0, size, len(files))
    (snapshot,) = (root / FOLDER / "snapshots").iterdir()
    blob = (snapshot / path).resolve()
    flip(blob)
    code, data = verify()
    assert (code, data["summary"]["bytes_read"]) == (1, len(files[path]))
    assert data["unhealthy"][0]["reason"] == f"{path} {DAMAGED}"
    assert data["unhealthy"][0]["damaged"][0]["expected"] == blob.name
    assert verify.health() == {NAME: f"{path} {DAMAGED}"}
    assert "1 of them fetched" in pull(root, hub, "--repair")
    assert verify.health() == {NAME: None}
    code, data = verify()
    assert (code, data["unhealthy"], data["summary"]["bytes_read"]) == (0, [], len(files[path]))
    assert (snapshot / path).read_bytes() == files[path]


def test_real_files_of_a_cache_without_links_are_held_against_the_listing(root: Path, verify: Checks) -> None:
    files = {path: replace(file, placement=Placement.PLAIN) for path, file in FILES.items()}
    write_cache(root, [with_listing(with_files(MODEL, files))])
    assert verify()[1]["summary"]["files_checked"] == len(FILES)
    flip(root / FOLDER / "snapshots" / COMMIT / "model.safetensors")
    assert verify.reasons() == {NAME: f"model.safetensors {DAMAGED}"}


def test_the_shared_store_is_read_once_for_all_its_models(root: Path, verify: Checks) -> None:
    weights = replace(FILES["model.safetensors"], placement=Placement.SHARED)
    models = [with_files(healthy_model(name), {"model.safetensors": weights}) for name in ("org/a", "org/b")]
    write_cache(root, models)
    small = sum(len(file.content) for path, file in FILES.items() if path != "model.safetensors")
    _, data = verify()
    assert data["summary"]["bytes_read"] == len(weights.content) + 2 * small
    flip(root / "blobs" / weights.payload[:2] / weights.payload)
    code, data = verify()
    assert (code, data["summary"]["bytes_read"]) == (1, len(weights.content))
    assert [row["reason"] for row in data["unhealthy"]] == [f"model.safetensors {DAMAGED}"] * 2


def test_names_without_a_hash_or_that_are_no_text_hinder_nothing(root: Path, verify: Checks) -> None:
    odd = StoredFile(b"etag of a mirror", named="mirror-etag")
    write_cache(root, [with_files(MODEL, {"odd.txt": odd}), healthy_model("org/other")])
    snapshot = os.fsencode(root / FOLDER / "snapshots" / COMMIT)
    os.symlink(b"../../blobs/" + os.fsencode(FILES["README.md"].etag), snapshot + b"/\xff\xfe.md")
    os.mkdir(os.fsencode(root) + b"/models--org--\xff")
    code, data = verify()
    rows = {row["name"]: row for row in (*data["healthy"], *data["unhealthy"])}
    assert code == 1
    assert (rows[NAME]["status"], rows[NAME]["files_checked"]) == ("healthy", len(FILES))
    assert [file["path"] for file in rows[NAME]["unchecked"]] == ["odd.txt"]
    assert rows["org/other"]["status"] == "healthy"
    assert rows["org/\\xff"]["reason"] == "no snapshot"
    flip(blob_of(root, "README.md"))
    assert str(verify.reasons(NAME)[NAME]).startswith("README.md")


def test_a_file_that_may_not_be_read_is_told_and_the_others_are_checked(root: Path, verify: Checks) -> None:
    write_cache(root, [MODEL, healthy_model("org/other")])
    blob_of(root, "README.md").chmod(0)
    powerless = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root can read everything, and setpriv is not here")
    code, data = verify(prefix=powerless if os.geteuid() == 0 else ())
    assert code == 1
    (row,) = data["unhealthy"]
    assert (row["name"], row["reason"]) == (NAME, "README.md cannot be read: permission denied")
    assert row["files_checked"] == len(FILES) - 1
    assert [row["name"] for row in data["healthy"]] == ["org/other"]


def large_model(root: Path) -> None:
    """A model that takes a while, whose large files do not have the hashes that they are named by."""
    write_cache(root, [MODEL])
    blobs, snapshot = root / FOLDER / "blobs", root / FOLDER / "snapshots" / COMMIT
    for number in range(LARGE):
        name = f"{number:064x}"
        with (blobs / name).open("wb") as file:
            file.truncate(LARGE_SIZE - number)
        (snapshot / f"large-{number:02}.bin").symlink_to(f"../../blobs/{name}")


TOTAL = sum(LARGE_SIZE - number for number in range(LARGE)) + sum(len(file.content) for file in FILES.values())
ALL = LARGE + len(FILES)


def remembered(memory: Path) -> int:
    """Hashes on the disk."""
    return sum(path.read_bytes().count(b"\n") for path in memory.glob("mlxk2/caches/*/contents"))


def in_the_middle(
    root: Path, tmp_path: Path, act: Callable[[Started], None], *options: str
) -> tuple[Path, tuple[int, str, str]]:
    """Begin, act when some of the files are done, and wait for the end: where it remembers, and how it ended.

    On a busy machine it may be through before that is seen; then it is tried again.
    """
    for number in range(10):
        memory = tmp_path / f"memory-{number}"
        memory.mkdir()
        started = start([MLXK2, "verify", *options], environment(root, XDG_CACHE_HOME=str(memory)), tmp_path)
        until(partial(remembered, memory), seconds=60)
        act(started)
        ended = started.finish(120)
        if 0 < remembered(memory) < ALL:
            return memory, ended
    raise AssertionError("it was always through too soon")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_whoever_is_stopped_goes_on_from_there(root: Path, verify: Checks, tmp_path: Path, how: signal.Signals) -> None:
    large_model(root)
    memory, (code, out, err) = in_the_middle(root, tmp_path, lambda started: started.process.send_signal(how))
    assert out == ""
    if how is signal.SIGINT:
        assert code == 130
        said = err.splitlines()[-1]
        assert said.startswith("mlxk2: Interrupted; ")
        assert f" of {ALL} files (" in said
        assert said.endswith("; run the same command again to go on from there")
        assert "Traceback" not in err
    code, data = verify(memory=memory)
    assert (code, data["summary"]["files_checked"]) == (1, ALL)
    assert data["summary"]["bytes_checked"] == TOTAL
    assert data["summary"]["bytes_read"] <= TOTAL - (LARGE_SIZE - LARGE)
    assert len(data["unhealthy"][0]["damaged"]) == LARGE
    assert verify(memory=memory)[1]["summary"]["bytes_read"] == 0


def test_two_at_once_do_not_hinder_one_another(root: Path, verify: Checks, tmp_path: Path) -> None:
    write_cache(root, [MODEL, healthy_model("org/other")])
    both = [start([MLXK2, "verify"], environment(root), tmp_path) for _ in range(2)]
    assert [one.finish()[0] for one in both] == [0, 0]
    assert verify()[1]["summary"]["bytes_read"] == 0


def test_a_model_that_is_deleted_meanwhile_is_told(root: Path, tmp_path: Path) -> None:
    def delete(started: Started) -> None:
        shutil.rmtree(root / FOLDER)
        started.process.wait(120)
        large_model(root)  # for another attempt

    large_model(root)
    _, (code, out, _) = in_the_middle(root, tmp_path, delete, "--json")
    assert code == 1
    (row,) = json.loads(out)["data"]["unhealthy"]
    assert {damage["problem"] for damage in row["damaged"]} == {"was deleted while it was checked", DAMAGED}
    assert "was deleted while it was checked" in row["reason"]


def test_a_disk_that_takes_no_more_costs_time_only(root: Path, tmp_path: Path, verify: Checks) -> None:
    write_cache(root, [MODEL])
    limited = ("prlimit", "--fsize=0") if shutil.which("prlimit") else ()
    if not limited:
        pytest.skip("prlimit is not here")
    for _ in range(2):
        code, data = verify(prefix=limited, memory=tmp_path / "memory")
        assert (code, data["summary"]["files_checked"]) == (0, len(FILES))
