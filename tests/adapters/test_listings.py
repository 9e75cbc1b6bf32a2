"""Listings of ours on a real disk: when they are read, where they are kept, and what may be wrong with them."""

import json
import os
import stat
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.own_files import own_folder
from mlxk2.ports.cache import READ_NOTHING, ListedFile, Removal
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import unwatched
from mlxk2.testing import write_cache
from mlxk2.testing.contracts.cache import FIRST, FOLDER, SECOND, WHOLE, delivery, two_revisions

TOLD = delivery({"config.json": b"{}", "model.safetensors": b"old" * 9, "vocab/more.txt": b"more"}).listing
EXPECTED = tuple(ListedFile(file.path, file.size, file.etag) for file in TOLD)
UNREADABLE = (b"", b"{", b"[]", b"\xff", b'{"format_version": 2, "files": {}}', b'{"format_version": 1, "files": [1]}')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "hub", [two_revisions()])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def cache(root: Path, state: Path) -> HfCache:
    return HfCache(str(root), str(state))


def record(root: Path, state: Path, commit: str = FIRST) -> Path:
    return Path(own_folder(str(state), str(root))) / "listings" / FOLDER / f"{commit}.json"


def listing(cache: HfCache, commit: str = FIRST) -> tuple[ListedFile, ...] | None:
    return cache.snapshot(cache.repo(FOLDER), commit, READ_NOTHING).listing


def test_a_record_is_outside_of_the_cache_and_for_this_user_only(cache: HfCache, root: Path, state: Path) -> None:
    before = sorted(root.rglob("*"))
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert sorted(root.rglob("*")) == before
    path = record(root, state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
    assert list(path.parent.iterdir()) == [path]


def test_a_record_has_the_form_of_huggingface_hubs(cache: HfCache, root: Path, state: Path) -> None:
    cache.record_listing(FOLDER, FIRST, TOLD)
    document = json.loads(record(root, state).read_bytes())
    weights = next(file for file in TOLD if file.is_lfs)
    assert document["format_version"] == 1
    assert document["files"][weights.path]["lfs_sha256"] == weights.etag
    trees = root / FOLDER / "trees"
    trees.mkdir()
    (trees / f"{SECOND}.json").write_bytes(record(root, state).read_bytes())
    assert listing(cache, SECOND) == EXPECTED


def test_a_cache_behind_a_link_has_the_same_records(cache: HfCache, root: Path, state: Path, tmp_path: Path) -> None:
    cache.record_listing(FOLDER, FIRST, TOLD)
    (tmp_path / "link").symlink_to(root)
    assert listing(HfCache(str(tmp_path / "link"), str(state))) == EXPECTED


def test_another_cache_has_none_of_them(cache: HfCache, state: Path, tmp_path: Path) -> None:
    cache.record_listing(FOLDER, FIRST, TOLD)
    other = write_cache(tmp_path / "other", [two_revisions()])
    assert listing(HfCache(str(other), str(state))) is None


@pytest.mark.parametrize("content", UNREADABLE)
def test_where_huggingface_hubs_cannot_be_read_ours_is(cache: HfCache, root: Path, content: bytes) -> None:
    trees = root / FOLDER / "trees"
    trees.mkdir()
    (trees / f"{FIRST}.json").write_bytes(content)
    assert listing(cache) is None
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert listing(cache) == EXPECTED
    assert (trees / f"{FIRST}.json").read_bytes() == content


@pytest.mark.parametrize("content", UNREADABLE)
def test_a_damaged_record_is_as_good_as_none_and_written_again(
    cache: HfCache, root: Path, state: Path, content: bytes
) -> None:
    cache.record_listing(FOLDER, FIRST, TOLD)
    record(root, state).write_bytes(content)
    assert listing(cache) is None
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert listing(cache) == EXPECTED


@pytest.mark.parametrize("kind", ["fifo", "loop", "folder"])
def test_a_record_that_is_no_file_is_as_good_as_none(cache: HfCache, root: Path, state: Path, kind: str) -> None:
    path = record(root, state)
    path.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        path.mkdir()
    assert listing(cache) is None
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert listing(cache) in (None, EXPECTED)


def test_a_place_that_cannot_be_written_keeps_nothing_and_fails_nobody(root: Path, state: Path) -> None:
    state.write_bytes(b"a file where the folder should be")
    cache = HfCache(str(root), str(state))
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert listing(cache) is None
    cache.remove(WHOLE)
    assert cache.folders() == []


@pytest.mark.parametrize("path", ["../evil", "/evil", "a//b", "a\0b", "\ud800", "x" * 256, "config.json/inside"])
def test_what_cannot_be_in_a_cache_is_not_recorded(cache: HfCache, path: str) -> None:
    cache.record_listing(FOLDER, FIRST, (*TOLD, SourceFile(path, 1, "a" * 40, "a" * 40)))
    assert listing(cache) is None


def test_records_go_with_their_model_or_revision(cache: HfCache, root: Path, state: Path) -> None:
    for commit in (FIRST, SECOND):
        cache.record_listing(FOLDER, commit, TOLD)
    cache.remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
    assert not record(root, state).exists()
    assert record(root, state, SECOND).exists()
    cache.remove(WHOLE)
    assert not record(root, state, SECOND).parent.exists()


def test_a_pull_takes_the_record_away_since_it_writes_huggingface_hubs(cache: HfCache, root: Path, state: Path) -> None:
    cache.record_listing(FOLDER, FIRST, TOLD)
    cache.install(delivery({"config.json": b"{}"}), unwatched)
    assert (root / FOLDER / "trees" / f"{FIRST}.json").exists()
    assert not record(root, state).parent.exists()


def test_without_a_place_nothing_is_recorded(root: Path) -> None:
    cache = HfCache(str(root))
    cache.record_listing(FOLDER, FIRST, TOLD)
    assert listing(cache) is None


def test_blobs_that_only_a_record_names_are_those_of_its_commit(root: Path, state: Path) -> None:
    """A download that belongs to another commit, by its record, is no business of this one."""
    partial = root / FOLDER / "blobs" / f"{TOLD[2].etag}.00000000.incomplete"
    partial.write_bytes(b"mo")
    cache = HfCache(str(root), str(state))
    cache.record_listing(FOLDER, SECOND, TOLD)
    facts = cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING)
    assert facts.elsewhere == {file.etag for file in TOLD}


def test_each_cache_has_a_folder_of_its_own_however_long_its_path_is(tmp_path: Path) -> None:
    roots = [tmp_path / "a", tmp_path / "a%2Fb", tmp_path / "a" / "b", tmp_path / ("a" * 150) / ("b" * 150)]
    folders = {own_folder(str(tmp_path), str(root)) for root in roots}
    assert len(folders) == len(roots)
    assert all(len(os.path.basename(folder)) <= 200 for folder in folders)
    (tmp_path / "way").symlink_to(tmp_path / "a")
    assert own_folder(str(tmp_path), str(tmp_path / "way")) == own_folder(str(tmp_path), str(roots[0]))
