"""`prune` where the file system refuses: the rest goes on, each refusal is told, and the exit code says so."""

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlxk2.testing import healthy_model, write_cache
from tests.e2e.conftest import MLXK2, environment

LOOSE = "c" * 64
ONE, OTHER = (replace(healthy_model(name), extra={f"blobs/{LOOSE}": b"loose"}) for name in ("org/model", "org/other"))
_DROP = 24
"""prctl's PR_CAPBSET_DROP."""
_OVERRIDE, _READ_SEARCH = 1, 2
"""What lets root past the modes of files: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield write_cache(tmp_path / "hub", [ONE, OTHER])
    for path in ("", ONE.folder, f"{ONE.folder}/blobs", f"{ONE.folder}/snapshots", f"{ONE.folder}/refs"):
        (tmp_path / "hub" / path).chmod(0o755)


def _obeys_modes() -> None:
    """A program that is started by root goes by the modes of files like any other."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None)
        for capability in (_OVERRIDE, _READ_SEARCH):
            assert library.prctl(_DROP, capability, 0, 0, 0) == 0


def prune(root: Path) -> tuple[int, Any]:
    """Exit code and document."""
    result = subprocess.run(
        [MLXK2, "prune", "--force", "--json"],
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_obeys_modes,
    )
    assert "Traceback" not in result.stderr
    return result.returncode, json.loads(result.stdout)


@pytest.mark.parametrize("place", ["", "snapshots", "blobs", "refs"])
def test_a_model_that_may_not_be_read_is_left_alone_and_the_others_are_not(root: Path, place: str) -> None:
    (root / ONE.folder / place).chmod(0)
    code, document = prune(root)
    assert code == 1
    assert document["data"]["kept"] == [
        {"model": "org/model", "reason": "it cannot be read to the end: permission denied"}
    ]
    assert [(row["model"], row["action"]) for row in document["data"]["leftovers"]] == [("org/other", "deleted")]
    (root / ONE.folder / place).chmod(0o755)
    assert (root / ONE.folder / "blobs" / LOOSE).exists()
    assert not (root / OTHER.folder / "blobs" / LOOSE).exists()


def test_a_blob_that_may_not_be_deleted_is_told_and_ends_with_the_status_of_a_refusal(root: Path) -> None:
    (root / ONE.folder / "blobs").chmod(0o555)
    code, document = prune(root)
    assert code == 3
    assert [(row["model"], row["action"], row.get("reason")) for row in document["data"]["leftovers"]] == [
        ("org/model", "failed", "permission denied"),
        ("org/other", "deleted", None),
    ]
    (root / ONE.folder / "blobs").chmod(0o755)
    assert sorted(path.name for path in root.rglob(LOOSE)) == [LOOSE]
    assert not (root / ".locks" / ".mlxk2-trash").exists()


def test_a_revision_whose_blobs_may_not_be_deleted_is_no_success(root: Path) -> None:
    (root / ONE.folder / "refs" / "main").unlink()
    os.utime(next((root / ONE.folder / "snapshots").iterdir()), (0, 0))
    (root / ONE.folder / "blobs" / LOOSE).unlink()
    (root / ONE.folder / "blobs").chmod(0o555)
    code, document = prune(root)
    (revision,) = (row for row in document["data"]["leftovers"] if row["kind"] == "revision")
    assert (code, revision["action"]) == (3, "failed")
    assert revision["reason"] == "it is gone, but not its blobs: permission denied"


def test_a_cache_that_may_only_be_read_is_refused_as_a_whole(root: Path) -> None:
    root.chmod(0o555)
    code, document = prune(root)
    assert code == 3
    assert document["error"]["type"] == "PermissionError"
    assert document["error"]["message"].endswith("permission denied; check its permissions")
    assert len(list(root.rglob(LOOSE))) == 2
