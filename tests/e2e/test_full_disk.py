"""A cache on a full disk: what is there can be read, checked and deleted, and what cannot be written is told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel
from mlxk2.testing import healthy_model, with_files, with_listing, write_cache
from tests.conftest import check_against
from tests.e2e.conftest import MLXK2, environment
from tests.loopback_hub import LoopbackHub

GOOD, TWO, SHARED = "org/good", "org/two", "org/shared"
NOTES = b"of one of two revisions"
OLD = "0a" * 20
LOOKS = (("list", "--all"), ("health", "--fail"), ("show", GOOD), ("du",), ("verify",), ("fit", GOOD))
NO_FILE_GROWS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""


class Answer(NamedTuple):
    code: int
    document: dict[str, Any]


class Disk(NamedTuple):
    """A cache on a disk of its own, and the program on it; what it remembers is on that disk, too."""

    place: Path
    root: Path
    schema: jsonschema.Draft202012Validator
    prefix: tuple[str | Path, ...] = ()

    def ask(self, *argv: str, **more: str) -> Answer:
        places = {"XDG_STATE_HOME": str(self.place / "state"), "XDG_CACHE_HOME": str(self.place / "memory")}
        command = [*self.prefix, MLXK2, *argv, "--json"]
        env = {**environment(self.root), **places, "HF_HUB_OFFLINE": "1", **more}
        result = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        check_against(self.schema, result.stdout)
        assert "InternalError" not in result.stdout, result.stdout
        return Answer(result.returncode, json.loads(result.stdout))

    def fill(self) -> None:
        """Every byte, and every file that there could be."""
        filler = self.place / "filler"
        filler.mkdir()
        for size in (1 << 20, 1 << 12, 1, 0):
            number = 0
            while True:
                path = filler / f"{size}-{number}"
                try:
                    with path.open("wb", buffering=0) as file:
                        file.write(bytes(size))
                except OSError:
                    break
                number += 1

    def names(self) -> list[str]:
        return [model["name"] for model in self.ask("list", "--all").document["data"]["models"]]


def two_revisions() -> StoredModel:
    """`old` has a file more."""
    new, old = with_listing(healthy_model(TWO)), with_listing(with_files(healthy_model(TWO), {"notes.txt": NOTES}))
    (commit,) = new.revisions
    revisions = {commit: new.revisions[commit], OLD: old.revisions[commit]}
    return StoredModel(new.folder, revisions, {"main": commit, "old": OLD})


def models() -> list[StoredModel]:
    in_store = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    return [healthy_model(GOOD), two_revisions(), with_files(healthy_model(SHARED), {"more.bin": in_store})]


@pytest.fixture
def disk(tmp_path: Path, schema: jsonschema.Draft202012Validator) -> Iterator[Disk]:
    """One that is full; of a size that is full soon."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=300", "tmpfs", str(place)]
    if os.geteuid() or sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a disk for this test, and not everywhere")
    try:
        disk = Disk(place, write_cache(place / "hub", models()), schema)
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_everything_can_be_looked_at(disk: Disk) -> None:
    before = {argv: disk.ask(*argv).document for argv in LOOKS}
    for folder in ("state", "memory"):
        subprocess.run(["rm", "-rf", disk.place / folder], check=True)
    disk.fill()
    for argv in LOOKS:
        told = disk.ask(*argv)
        assert told.code == 0, argv
        if argv[0] not in ("du", "fit"):  # which tell of free bytes
            assert told.document == before[argv]
    assert not (disk.place / "memory").exists()


@pytest.mark.parametrize("name", [GOOD, TWO, SHARED])
def test_a_model_can_be_deleted_though_the_disk_has_no_room_for_the_trash(disk: Disk, name: str) -> None:
    disk.fill()
    told = disk.ask("rm", name, "--force")
    assert (told.code, told.document["data"]["action"]) == (0, "deleted")
    assert disk.names() == sorted({GOOD, TWO, SHARED} - {name})
    assert disk.ask("health", "--fail").code == 0
    assert not (disk.root / f"models--{name.replace('/', '--')}").exists()
    assert len(list((disk.root / "blobs").glob("*/*.refs"))) == (0 if name == SHARED else 1)


def test_a_revision_can_be_deleted_there_and_the_other_stays(disk: Disk) -> None:
    disk.fill()
    told = disk.ask("rm", f"{TWO}@{OLD[:8]}", "--force")
    assert (told.code, told.document["data"]["action"]) == (0, "deleted")
    folder = disk.root / two_revisions().folder
    assert OLD not in os.listdir(folder / "snapshots")
    assert os.listdir(folder / "refs") == ["main"]
    assert not any(path.read_bytes() == NOTES for path in (folder / "blobs").iterdir())
    assert disk.ask("verify", TWO).code == 0


def test_what_was_deleted_makes_room_for_the_usual_way(disk: Disk) -> None:
    disk.fill()
    assert disk.ask("rm", GOOD, "--force").code == 0
    assert disk.ask("prune", "--force").code == 0
    assert disk.ask("rm", TWO, "--force").code == 0
    assert disk.names() == [SHARED]


def test_prune_says_what_frees_space_when_it_has_none_to_work_with(disk: Disk) -> None:
    stray = disk.root / healthy_model(GOOD).folder / "blobs" / ("e" * 64)
    stray.write_bytes(bytes(5000))
    os.utime(stray, (1e9, 1e9))
    disk.fill()
    told = disk.ask("prune", "--force")
    assert told.code == 3
    message = told.document["error"]["message"]
    assert message.startswith("The disk is full; free some space (mlxk2 rm needs none for it)")


def test_a_pull_says_how_much_is_missing_and_a_listing_that_finds_no_room_is_not_recorded(disk: Disk) -> None:
    with LoopbackHub() as hub:
        files = {path: file.content for path, file in next(iter(healthy_model(GOOD).revisions.values())).files.items()}
        hub.add_model("org/large", {**files, "model.safetensors": bytes(3_000_000)})
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "", "HF_HOME": str(disk.place.parent)}
        disk.fill()
        told = disk.ask("pull", "org/large", **online)
    assert (told.code, told.document["error"]["type"]) == (3, "PermissionError")
    assert "more on the disk of the cache, which has 0 B left" in told.document["error"]["message"]
    assert disk.names() == sorted([GOOD, TWO, SHARED])


@pytest.fixture
def quota(tmp_path: Path, schema: jsonschema.Draft202012Validator) -> Disk:
    """Where no file may grow, which every user can have."""
    root = write_cache(tmp_path / "disk" / "hub", [*models(), *(healthy_model(f"org/{n:03}") for n in range(100))])
    return Disk(tmp_path / "disk", root, schema, (sys.executable, "-c", NO_FILE_GROWS))


def test_where_no_file_may_grow_everything_can_be_looked_at_and_deleted(quota: Disk) -> None:
    for argv in LOOKS:
        assert quota.ask(*argv).code == 0, argv
    assert quota.ask("prune", "--force").code == 0
    assert quota.ask("rm", GOOD, "--force").code == 0
    own = [path for path in quota.place.rglob("*") if "caches" in path.parts and path.is_file()]
    assert [path for path in own if path.stat().st_size] == []


def test_where_no_file_may_grow_a_pull_fails_in_one_sentence(quota: Disk) -> None:
    told = quota.ask("pull", "demo")
    assert (told.code, told.document["error"]["type"]) == (3, "PermissionError")
    assert "file too large" in told.document["error"]["message"]
    assert "mlxk2/demo" not in [row["name"] for row in quota.ask("health").document["data"]["healthy"]]
