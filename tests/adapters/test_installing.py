"""Installing on a real disk: caches without links, shared payloads, and what a server must not be able to do."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.locks import lock
from mlxk2.adapters.hfcache.workshop import Workshop
from mlxk2.adapters.memory import MemoryContent, Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.errors import AccessProblem, OperationError, ValidationError
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


def planted(root: Path, name: str, tmp_path: Path) -> Path:
    """A folder outside the cache with a file in it, and a link to it at a place of the cache."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "x.txt").write_bytes(b"precious")
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim)
    return victim


@pytest.mark.parametrize(
    "name",
    [
        f".locks/{FOLDER}/{FIRST}.tmp",
        f"{FOLDER}/snapshots/{FIRST}/sub",
        f"{FOLDER}/refs/feature",
    ],
)
@pytest.mark.parametrize("content", [b"precious", b"another!"])
def test_a_link_planted_in_the_cache_leads_nobody_out(root: Path, tmp_path: Path, name: str, content: bytes) -> None:
    victim = planted(root, name, tmp_path)
    HfCache(str(root)).install(delivery({"sub/x.txt": content}, ref="feature/x"), unwatched)
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == {"x.txt": b"precious"}
    assert contents(root) == {"sub/x.txt": content}
    assert (root / FOLDER / "refs" / "feature" / "x").read_text() == FIRST


def test_a_listing_that_is_wrong_is_written_anew(root: Path) -> None:
    cache = HfCache(str(root))
    cache.install(delivery(FILES), unwatched)
    tree = root / FOLDER / "trees" / f"{FIRST}.json"
    whole = tree.read_bytes()
    tree.write_bytes(whole.replace(b'"size": 7', b'"size": 9').replace(b'"lfs_size": 7', b'"lfs_size": 9'))
    cache.install(delivery(FILES), unwatched)
    assert tree.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"[]", None])
def test_of_real_files_that_are_alike_each_is_looked_at(root: Path, damage: bytes | None) -> None:
    cached(root, FILES, Placement.PLAIN)
    copy = snapshot(root) / "copy.json"
    copy.unlink()
    if damage is not None:
        copy.write_bytes(damage)
    wanted = delivery(FILES)
    assert HfCache(str(root)).install(wanted, unwatched) == 0
    assert contents(root) == FILES
    assert reads(wanted) == []


def test_a_blob_that_is_taken_away_meanwhile_is_told_and_no_ref_is_made(root: Path) -> None:
    def take_away(event: Event) -> None:
        if isinstance(event, Checked) and event.path.endswith(".safetensors"):
            for blob in (root / FOLDER / "blobs").iterdir():
                blob.unlink()

    with pytest.raises(OperationError, match="was deleted by another program"):
        HfCache(str(root)).install(delivery(FILES), take_away)
    assert HfCache(str(root)).repo(FOLDER).refs == {}


class Slow:
    """Content that comes when it is let."""

    def __init__(self, content: MemoryContent, between: Callable[[], None]) -> None:
        self._content = content
        self._between = between

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        pieces = b"".join(self._content.read(file, start, stop))
        yield pieces[:1]
        self._between()
        yield pieces[1:]


def test_a_partial_file_that_is_pruned_meanwhile_is_told_as_such(root: Path) -> None:
    def prune() -> None:
        for path in (root / FOLDER / "blobs").glob("*.incomplete"):
            path.unlink()

    wanted = delivery({"model.safetensors": b"weights"})
    assert isinstance(wanted.content, MemoryContent)
    with pytest.raises(OperationError, match="was deleted by another program"):
        HfCache(str(root)).install(wanted._replace(content=Slow(wanted.content, prune)), unwatched)
    assert list((root / FOLDER / "blobs").iterdir()) == []


class Generous(MemoryContent):
    """Sends more than it was asked for."""

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        yield self.files[file.path][start:stop] + b"and more"
        yield b"and more"


def test_a_source_that_sends_too_much_is_cut_where_the_file_ends(root: Path) -> None:
    HfCache(str(root)).install(delivery(FILES)._replace(content=Generous(FILES)), unwatched)
    assert contents(root) == FILES


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b/c", "a/b"), ("x" * 256,), ("a/" + "ü" * 128,)])
def test_names_that_no_folder_can_hold_are_refused_before_anything_is_written(
    root: Path, paths: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError, match="cannot be in a cache"):
        HfCache(str(root)).install(delivery(dict.fromkeys(paths, b"x")), unwatched)
    assert not root.exists()


def test_a_path_that_is_listed_twice_is_refused(root: Path) -> None:
    good = delivery(FILES)
    with pytest.raises(ValidationError, match="cannot be in a cache"):
        HfCache(str(root)).install(good._replace(listing=good.listing + good.listing[:1]), unwatched)


def test_a_lock_file_that_is_deleted_while_somebody_waits_for_it_locks_nobody(root: Path) -> None:
    path = root / ".locks" / "x.lock"
    order: list[str] = []

    def second() -> None:
        with lock(str(path), waiting=waits.set):
            order.append("second")

    waits = Flag()
    with lock(str(path)):
        thread = Thread(target=second)
        thread.start()
        assert waits.wait(5)
        path.unlink()
        with lock(str(path)):  # whoever comes now makes a new file
            order.append("third")
    thread.join(5)
    assert order == ["third", "second"]
    assert path.exists()


class Remembering(MemoryContent):
    """Knows how many of its streams are open."""

    open_streams = 0

    def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
        self.open_streams += 1
        try:
            yield self.files[file.path][start:stop]
            yield b"more than was asked for"
        finally:
            self.open_streams -= 1


@pytest.mark.parametrize("fails", [False, True])
def test_every_stream_is_closed_by_whoever_reads_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    content = Remembering(FILES)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fails:
        monkeypatch.setattr(os, "pwrite", refuse)
        with pytest.raises(AccessProblem) as kept:  # with the frames that it came from
            HfCache(str(root)).install(delivery(FILES)._replace(content=content), unwatched)
        assert kept.value.__cause__ is not None
    else:
        HfCache(str(root)).install(delivery(FILES)._replace(content=content), unwatched)
    deadline = time.monotonic() + 5
    while content.open_streams and time.monotonic() < deadline:  # threads of other files end after the first failure
        time.sleep(0.01)
    assert content.open_streams == 0


@pytest.mark.parametrize("part", ["", "blobs", "snapshots", "trees"])
def test_a_model_that_is_deleted_while_it_is_pulled_is_told_as_such(root: Path, part: str) -> None:
    def delete() -> None:
        shutil.rmtree(root / FOLDER / part)

    wanted = delivery({"model.safetensors": b"weights"})
    assert isinstance(wanted.content, MemoryContent)
    if part in ("snapshots", "trees"):  # made again in time, or not needed any more
        HfCache(str(root)).install(wanted._replace(content=Slow(wanted.content, delete)), unwatched)
        assert contents(root) == {"model.safetensors": b"weights"}
        return
    with pytest.raises(OperationError, match="was deleted by another program"):
        HfCache(str(root)).install(wanted._replace(content=Slow(wanted.content, delete)), unwatched)
    assert HfCache(str(root)).repo(FOLDER).refs == {}


def test_a_file_where_a_folder_must_be_is_not_taken_for_a_deletion(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / "blobs").write_bytes(b"")
    with pytest.raises(AccessProblem, match="file exists"):
        HfCache(str(root)).install(delivery(FILES), unwatched)


def test_two_that_hold_the_lock_because_a_deletion_took_it_along_do_not_mix_what_they_make(root: Path) -> None:
    """`rm --force` takes a model's locks with it, and who pulls it then has the new lock beside the one of before."""
    folder = str(root / ".locks" / FOLDER / f"{FIRST}.tmp")
    first = Workshop(folder)
    first.write(str(root / "one"), b"first")
    second = Workshop(folder)
    with pytest.raises(FileNotFoundError):
        first.write(str(root / "one"), b"of the first")
    second.write(str(root / "two"), b"second")
    assert ((root / "one").read_bytes(), (root / "two").read_bytes()) == (b"first", b"second")
    second.close()
    assert not os.path.lexists(folder)
