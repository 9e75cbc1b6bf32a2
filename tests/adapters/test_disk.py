"""`du` on real caches, held against walks with `os.stat`: what it counts is there, once, and goes when it says so."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.disk import HfCacheDisk
from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.domain.usage import ModelUsage, Usage
from mlxk2.domain.usecases.disk_usage import DiskUsage
from mlxk2.ports.cache import Removal
from mlxk2.testing import healthy_model, with_listing, write_cache

BASE, TUNED, HARD, PLAIN, COMING = (f"models--org--{name}" for name in ("base", "tuned", "hard", "plain", "coming"))
FIRST, SECOND = "1" * 40, "2" * 40
ETAG = "e" * 64
MEGABYTE = 1_000_000


def weights(letter: str, length: int, placement: Placement = Placement.BLOB) -> StoredFile:
    return StoredFile(letter.encode() * length, lfs=True, placement=placement)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return a_cache_in(tmp_path)


def a_cache_in(folder: Path) -> Path:
    """A cache with every kind of sharing, an unfinished download with holes, a data set, and things beside."""
    shared = {
        "config.json": weights("c", 100),
        "a.safetensors": weights("s", 30_000, Placement.SHARED),
        "copy/a.safetensors": weights("s", 30_000, Placement.SHARED),
    }
    tuned = {**shared, "b.safetensors": weights("t", 5_000), "c.safetensors": weights("x", 700, Placement.SHARED)}
    hard = with_listing(healthy_model("org/hard", files={"extra.bin": bytes(4_000)}))
    root = write_cache(
        folder / "hub",
        [
            StoredModel(
                BASE,
                {
                    FIRST: StoredRevision({**shared, "old.safetensors": weights("o", 9_000)}),
                    SECOND: StoredRevision({**shared, "new.safetensors": weights("n", 11_000)}),
                },
                {"main": SECOND, "pr/1": FIRST},
            ),
            StoredModel(TUNED, {FIRST: StoredRevision(tuned)}, {"main": FIRST}),
            replace(hard, stale_locks=frozenset({ETAG})),
            StoredModel(PLAIN, {FIRST: StoredRevision({"p.safetensors": weights("p", 600, Placement.PLAIN)})}, {}),
            StoredModel(COMING, {}, {}, partials=((ETAG, 50), ("d" * 64, 60))),
            StoredModel("datasets--org--data", {FIRST: StoredRevision({"d.parquet": weights("d", 2_000)})}, {}),
        ],
    )
    (root / "CACHEDIR.TAG").write_text("Signature")
    extra = max((root / HARD / "blobs").iterdir(), key=lambda blob: blob.stat().st_size)
    os.link(extra, folder / "kept outside")
    (new,) = [blob for blob in (root / BASE / "blobs").iterdir() if blob.lstat().st_size == 11_000]
    os.link(new, root / TUNED / "blobs" / new.name)
    (old,) = [blob for blob in (root / BASE / "blobs").iterdir() if blob.lstat().st_size == 9_000]
    os.link(old, root / BASE / "blobs" / ("9" * 64))
    with (root / COMING / "blobs" / f"{ETAG}.6d6c786b.incomplete").open("wb") as file:
        file.write(b"begun")
        file.truncate(50 * MEGABYTE)
        file.seek(50 * MEGABYTE)
        file.write(b"map")
    trash = root / ".locks" / ".mlxk2-trash" / "00ff" / "models--org--gone"
    trash.mkdir(parents=True)
    (trash / "blob").write_bytes(bytes(300))
    return root


def du(root: Path) -> Usage:
    return DiskUsage(HfCache(str(root)), HfCacheDisk(str(root)))()


def model(usage: Usage, folder: str) -> ModelUsage:
    (found,) = [each for each in usage.models if each.name == folder.removeprefix("models--").replace("--", "/")]
    return found


def walked(top: Path, look: Callable[[Path], os.stat_result]) -> int:
    """Bytes of all files below, each inode once; of an unfinished download the blocks that it has."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(top):
        for path in (Path(folder, name) for name in names):
            info = look(path)
            blocks = info.st_blocks * 512 if path.name.endswith(".incomplete") else info.st_size
            sizes[info.st_dev, info.st_ino] = 0 if path.is_symlink() and look is os.lstat else min(info.st_size, blocks)
    return sum(sizes.values())


def test_the_total_is_what_a_walk_finds(root: Path) -> None:
    usage = du(root)
    assert usage.total == walked(root, os.lstat)
    assert usage.of_models + usage.others == usage.total
    assert usage.unread == ()


def test_a_model_takes_what_a_walk_that_follows_its_links_finds(root: Path) -> None:
    usage = du(root)
    assert len(usage.models) == 5
    for folder in (BASE, TUNED, HARD, PLAIN, COMING):
        assert model(usage, folder).size == walked(root / folder, os.stat), folder


def test_a_revision_takes_what_a_walk_that_follows_its_links_finds(root: Path) -> None:
    for folder in (BASE, TUNED, HARD, PLAIN):
        for revision in model(du(root), folder).revisions:
            assert revision.size == walked(root / folder / "snapshots" / revision.commit, os.stat)


@pytest.mark.parametrize("folder", [BASE, TUNED, HARD, PLAIN, COMING])
def test_what_is_a_models_own_is_what_the_disk_regains_without_it(root: Path, folder: str) -> None:
    own, before = model(du(root), folder).own, content_of(root)
    HfCache(str(root)).remove(Removal(folder, (), (), (), 0))
    assert before - content_of(root) == own


def content_of(root: Path) -> int:
    """Everything in the cache and beside it, but the store's own lists and what lay in the trash."""
    lists = sum(path.stat().st_size for path in root.glob("blobs/*/*.refs"))
    trash = sum(path.stat().st_size for path in root.glob(".locks/.mlxk2-trash/**/blob"))
    return walked(root.parent, os.lstat) - lists - trash


def test_revisions_share_and_own_what_their_links_say(root: Path) -> None:
    old, new = sorted(model(du(root), BASE).revisions, key=lambda revision: revision.commit)
    assert (old.size, old.own, old.refs) == (39_100, 9_000, ("pr/1",))
    assert (new.size, new.own, new.refs) == (41_100, 0, ("main",))  # the other model has its weights, as a hard link


def test_who_shares_is_told_on_both_sides(root: Path) -> None:
    usage = du(root)
    assert model(usage, BASE).shared_with == ("org/tuned",)
    assert model(usage, TUNED).shared_with == ("org/base",)
    assert (model(usage, BASE).shared, model(usage, TUNED).shared) == (41_000, 41_000)
    assert (model(usage, HARD).shared, model(usage, HARD).shared_with) == (4_000, ())


def test_a_blob_that_only_another_name_is_left_of_is_unused(root: Path) -> None:
    usage = du(root)
    assert model(usage, TUNED).unused == 11_000
    assert model(usage, BASE).unused == 0  # a second name of a blob that is used


def test_an_unfinished_download_counts_without_its_holes(root: Path) -> None:
    coming = model(du(root), COMING)
    assert coming.partial == coming.size == coming.own < MEGABYTE
    assert coming.partial > 110


def test_a_model_folder_that_is_a_link_is_elsewhere(root: Path, tmp_path: Path) -> None:
    before = du(root)
    (root / HARD).rename(tmp_path / "moved")
    (root / HARD).symlink_to(tmp_path / "moved")
    moved = du(root)
    assert (model(moved, HARD).elsewhere, model(moved, HARD).size) == (True, 0)
    assert moved.total == before.total - model(before, HARD).size


def test_what_is_no_file_takes_nothing_and_nothing_waits_for_it(root: Path) -> None:
    before = du(root).total
    os.mkfifo(root / PLAIN / "blobs" / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / PLAIN / "s"))
        (root / PLAIN / "snapshots" / FIRST / "loop").symlink_to("loop")
        (root / PLAIN / "blobs" / ("7" * 64)).symlink_to("../blobs")
        assert du(root).total == before


def test_names_that_are_not_text_are_counted(root: Path) -> None:
    before = du(root).total
    odd = os.fsencode(root / PLAIN) + b"/blobs/\xff\xfe"
    with open(odd, "wb") as file:
        file.write(bytes(70))
    os.mkdir(os.fsencode(root) + b"/models--org--\xff")
    with open(os.fsencode(root) + b"/models--org--\xff/\xfe", "wb") as file:
        file.write(bytes(7))
    usage = du(root)
    assert usage.total == before + 77
    assert [each.size for each in usage.models if each.name == "org/\\xff"] == [7]


def test_a_folder_that_may_not_be_read_is_named_and_the_rest_is_counted() -> None:
    with as_an_ordinary_user(), TemporaryDirectory() as folder:
        root = a_cache_in(Path(folder))
        closed, listed_only = root / "datasets--org--data" / "blobs", root / TUNED / "blobs"
        closed.chmod(0)
        listed_only.chmod(0o444)
        usage = du(root)
        size = walked(root / BASE, os.stat)
        closed.chmod(0o755)
        listed_only.chmod(0o755)
    assert usage.unread == ("datasets--org--data/blobs", f"{TUNED}/blobs")
    assert model(usage, BASE).size == size


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(54321)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    usage = du(tmp_path / "nothing")
    assert (usage.models, usage.total) == ((), 0)
    assert usage.free > 0
