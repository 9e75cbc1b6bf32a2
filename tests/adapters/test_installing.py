"""Installing on a real disk: caches without links, shared payloads, and what a server must not be able to do."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.memory import MemoryContent, Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import Checked, Delivery, Event, unwatched
from mlxk2.testing import write_cache
from mlxk2.testing.contracts.cache import FIRST, FOLDER, delivery

FILES = {"config.json": b"{}", "copy.json": b"{}", "sub/model.safetensors": b"weights"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def snapshot(root: Path) -> Path:
    return root / FOLDER / "snapshots" / FIRST


def contents(root: Path) -> dict[str, bytes]:
    base = snapshot(root)
    return {str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}


def cached(root: Path, files: Mapping[str, bytes], placement: Placement) -> None:
    """The files as they are in a cache, the large ones (or, as real files, all of them) in this placement."""
    stored = {
        path: StoredFile(content, lfs, placement if lfs or placement is Placement.PLAIN else Placement.BLOB)
        for path, content in files.items()
        for lfs in [path.endswith(".safetensors")]
    }
    write_cache(root, [StoredModel(FOLDER, {FIRST: StoredRevision(stored)}, {"main": FIRST})])


def reads(wanted: Delivery) -> list[str]:
    content = wanted.content
    assert isinstance(content, MemoryContent)
    return [path for path, _, _ in content.reads]


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)


def test_a_file_system_without_links_gets_real_files_and_no_blobs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_links(monkeypatch)
    HfCache(str(root)).install(delivery(FILES), unwatched)
    assert contents(root) == FILES
    assert not any(path.is_symlink() for path in snapshot(root).rglob("*"))
    assert list((root / FOLDER / "blobs").iterdir()) == []


def test_a_second_pull_without_links_fetches_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_links(monkeypatch)
    cache = HfCache(str(root))
    cache.install(delivery(FILES), unwatched)
    assert cache.missing_bytes(FOLDER, FIRST, delivery(FILES).files) == 0
    assert cache.install(delivery(FILES), unwatched) == 0


def test_of_real_files_only_the_bad_one_is_fetched(root: Path) -> None:
    cached(root, {**FILES, "sub/model.safetensors": b"weighty"}, Placement.PLAIN)
    wanted = delivery(FILES)
    assert HfCache(str(root)).install(wanted, unwatched) == 7
    assert reads(wanted) == ["sub/model.safetensors"]
    assert contents(root) == FILES


def test_a_payload_of_the_shared_store_is_verified_and_kept(root: Path) -> None:
    cached(root, FILES, Placement.SHARED)
    wanted = delivery(FILES)
    assert HfCache(str(root)).install(wanted, unwatched) == 0
    assert [path.is_symlink() for path in sorted((root / FOLDER / "blobs").iterdir()) if len(path.name) == 64] == [True]


def test_a_damaged_payload_of_the_shared_store_is_replaced_for_this_model_and_left_for_others(root: Path) -> None:
    cached(root, FILES, Placement.SHARED)
    wanted = delivery(FILES)
    etag = next(file.etag for file in wanted.files if file.is_lfs)
    blob = root / FOLDER / "blobs" / etag
    payload = blob.resolve()
    payload.write_bytes(b"weighty")
    assert HfCache(str(root)).install(wanted, unwatched) == 7
    assert (blob.is_symlink(), blob.read_bytes(), payload.read_bytes()) == (False, b"weights", b"weighty")


def test_a_blob_that_leads_out_of_the_cache_is_not_read_but_replaced(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"weights")
    wanted = delivery({"model.safetensors": b"weights"})
    blob = root / FOLDER / "blobs" / wanted.files[0].etag
    blob.parent.mkdir(parents=True)
    blob.symlink_to(outside)
    assert HfCache(str(root)).install(wanted, unwatched) == 7
    assert not blob.is_symlink()
    assert outside.read_bytes() == b"weights"


def test_a_linked_folder_in_the_snapshot_is_not_written_through(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    snapshot(root).mkdir(parents=True)
    (snapshot(root) / "sub").symlink_to(outside)
    HfCache(str(root)).install(delivery(FILES), unwatched)
    assert list(outside.iterdir()) == []
    assert contents(root) == FILES


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "a//b", "", ".", "sub/..", "a\0b"])
def test_a_path_that_would_leave_the_snapshot_is_refused_before_anything_is_written(root: Path, path: str) -> None:
    good = delivery(FILES)
    evil = SourceFile(path, 2, good.files[0].etag, good.files[0].blob_id)
    with pytest.raises(ValidationError, match="cannot be in a cache"):
        HfCache(str(root)).install(good._replace(listing=(*good.listing, evil)), unwatched)
    assert not root.exists()


def test_an_etag_that_is_no_hash_is_refused(root: Path) -> None:
    good = delivery(FILES)
    evil = SourceFile("x", 2, "../../evil", "0" * 40)
    with pytest.raises(ValidationError, match="cannot be in a cache"):
        HfCache(str(root)).install(good._replace(listing=(*good.listing, evil)), unwatched)


@pytest.mark.parametrize("ref", ["../main", "a//b", ".."])
def test_a_ref_that_would_leave_the_model_is_refused(root: Path, ref: str) -> None:
    with pytest.raises(ValidationError):
        HfCache(str(root)).install(delivery(FILES, ref=ref), unwatched)
    assert not root.exists()


def test_every_file_is_told_of_also_one_with_the_content_of_another(root: Path) -> None:
    events: list[Event] = []
    HfCache(str(root)).install(delivery(FILES), events.append)
    assert sorted(event.path for event in events if isinstance(event, Checked)) == sorted(FILES)


def test_a_cache_that_may_not_be_written_is_told_with_the_next_step(root: Path) -> None:
    root.parent.mkdir(exist_ok=True)
    root.write_text("a file, not a folder")
    with pytest.raises(AccessProblem, match="check HF_HUB_CACHE"):
        HfCache(str(root)).install(delivery(FILES), unwatched)
