"""What takes the space: own, shared, unfinished and unused bytes, each counted once."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mlxk2.adapters.memory import MemoryCache, MemoryDisk, Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.domain.usage import Disk, ModelUsage, RevisionUsage, Usage, model_usage
from mlxk2.domain.usecases.disk_usage import DiskUsage
from mlxk2.ports.cache import FileFact, LinkState, RepoFacts, SnapshotEntry, SnapshotFacts
from mlxk2.ports.disk import DiskFile, Missed

FOLDER = "models--org--m"
FIRST, SECOND, THIRD = ("1" * 40, "2" * 40, "3" * 40)


def usage_of(*models: StoredModel, pattern: str | None = None) -> Usage:
    cache = MemoryCache(models, free_bytes=77)
    return DiskUsage(cache, MemoryDisk(cache))(pattern)


def one(model: StoredModel, *others: StoredModel) -> ModelUsage:
    (found,) = [each for each in usage_of(model, *others).models if each.name == "org/m"]
    return found


def a_model(revisions: dict[str, dict[str, StoredFile]], folder: str = FOLDER, **more: Any) -> StoredModel:
    return StoredModel(
        folder, {commit: StoredRevision(files) for commit, files in revisions.items()}, more.pop("refs", {}), **more
    )


def a_file(letter: str, length: int, placement: Placement = Placement.BLOB) -> StoredFile:
    return StoredFile(letter.encode() * length, lfs=True, placement=placement)


CONFIG, OLD, NEW = a_file("c", 10), a_file("o", 100), a_file("n", 1000)
TWO = a_model({FIRST: {"config": CONFIG, "weights": OLD}, SECOND: {"config": CONFIG, "weights": NEW}})


def test_what_two_revisions_share_is_nobodys_own_and_counts_once() -> None:
    model = one(TWO)
    assert (model.size, model.own, model.shared) == (1110, 1110, 0)
    assert model.revisions == (RevisionUsage(SECOND, (), 1010, 1000), RevisionUsage(FIRST, (), 110, 100))
    assert [revision.shared for revision in model.revisions] == [10, 10]


def test_two_files_of_the_same_content_count_once() -> None:
    model = one(a_model({FIRST: {"a": OLD, "copy/a": OLD}}))
    assert (model.size, model.revisions[0].size) == (100, 100)


def test_refs_count_with_the_model_and_name_their_revisions() -> None:
    model = one(replace(TWO, refs={"v1": FIRST, "main": FIRST}))
    assert model.size == 1110 + 80
    assert {revision.commit: revision.refs for revision in model.revisions} == {FIRST: ("main", "v1"), SECOND: ()}


def test_models_share_what_is_in_the_shared_store() -> None:
    shared = a_file("s", 500, Placement.SHARED)
    mine = a_model({FIRST: {"weights": shared, "config": CONFIG}})
    other = a_model({FIRST: {"weights": shared}}, "models--org--other")
    alone = usage_of(mine)
    assert (alone.models[0].own, alone.models[0].shared_with) == (510, ())
    assert (alone.of_models, alone.total) == (510, 510)
    both = usage_of(mine, other)
    assert [(model.name, model.size, model.own, model.shared_with) for model in both.models] == [
        ("org/m", 510, 10, ("org/other",)),
        ("org/other", 500, 0, ("org/m",)),
    ]
    assert both.models[0].revisions == (RevisionUsage(FIRST, (), 510, 10),)
    assert (both.of_them, both.of_models, both.total, both.others) == (510, 510, 510, 0)


def test_a_pattern_chooses_what_is_told_and_not_what_counts_as_shared() -> None:
    shared = a_file("s", 500, Placement.SHARED)
    mine, other = (a_model({FIRST: {"weights": shared}}, f"models--org--{name}") for name in ("mine", "other"))
    usage = usage_of(mine, other, TWO, pattern="MINE")
    assert [(model.name, model.own, model.shared_with) for model in usage.models] == [("org/mine", 0, ("org/other",))]
    assert (usage.of_them, usage.of_models, usage.models_in_cache, usage.free) == (500, 1610, 3, 77)


def test_the_largest_comes_first_and_what_is_equal_goes_by_name() -> None:
    small, large, equal = (
        a_model({FIRST: {"weights": file}}, f"models--org--{name}")
        for name, file in (("a", OLD), ("z", NEW), ("b", a_file("e", 100)))
    )
    assert [model.name for model in usage_of(equal, small, large).models] == ["org/z", "org/a", "org/b"]


def test_unfinished_downloads_are_told_apart() -> None:
    model = one(replace(TWO, partials=(("f" * 64, 30), ("e" * 64, 5))))
    assert (model.size, model.own, model.partial, model.unused) == (1145, 1145, 35, 0)


UNUSED = a_file("u", 40)
"""A blob that no revision uses, once its revision is gone."""


def with_unused_blob(**changes: Any) -> tuple[RepoFacts, list[SnapshotFacts], Disk]:
    cache = MemoryCache([a_model({FIRST: {"weights": OLD}, SECOND: {"weights": UNUSED}}, **changes)])
    repo = cache.repo(FOLDER)
    snapshot = SnapshotFacts(FIRST, (FileFact("weights", LinkState.FILE, 100, OLD.etag),))
    return repo, [snapshot], Disk(MemoryDisk(cache).files(lambda _: None))


def test_a_blob_of_no_revision_is_unused() -> None:
    model = model_usage(*with_unused_blob())
    assert (model.size, model.own, model.unused, model.partial) == (140, 140, 40, 0)


def test_what_a_running_download_has_brought_belongs_to_it() -> None:
    model = model_usage(*with_unused_blob(held_locks=frozenset({"f" * 64})))
    assert (model.size, model.unused, model.partial) == (140, 0, 40)


@pytest.mark.parametrize("unreadable", [FileFact(".", LinkState.UNREADABLE), FileFact("a", LinkState.UNREADABLE)])
def test_nothing_is_called_unused_where_a_revision_cannot_be_read(unreadable: FileFact) -> None:
    repo, snapshots, disk = with_unused_blob()
    model = model_usage(repo, [*snapshots, SnapshotFacts(THIRD, (unreadable,))], disk)
    assert (model.size, model.unused) == (140, 0)
    assert model.problem == "revision 333333333333 cannot be read to the end"


def facts(*files: DiskFile, blob: str = "b", **repo: Any) -> ModelUsage:
    """A model with one revision, whose only file is a blob."""
    entries = (SnapshotEntry(FIRST, 0.0),)
    snapshot = SnapshotFacts(FIRST, (FileFact("f", LinkState.FILE, 9, blob),))
    return model_usage(RepoFacts(FOLDER, {}, entries, {}, **repo), [snapshot], Disk(files))


def test_a_hard_link_from_outside_keeps_the_bytes_when_the_model_goes() -> None:
    inside = DiskFile(FOLDER, "blobs/b", 9, 1, names=2)
    assert facts(inside).own == 0
    assert facts(inside, DiskFile("models--org--o", "blobs/b", 9, 1, names=2)).shared_with == ("org/o",)
    twice = facts(inside, DiskFile(FOLDER, "blobs/again", 9, 1, names=2))
    assert (twice.size, twice.own) == (9, 9)


def test_a_hard_link_of_the_stores_file_keeps_its_bytes_too() -> None:
    blob = DiskFile(FOLDER, "blobs/b", 9, 1, names=2, is_link=True)
    assert facts(blob, DiskFile("blobs", "aa/x", 9, 1, names=2)).own == 0
    assert facts(blob._replace(names=1), DiskFile("blobs", "aa/x", 9, 1)).own == 9


def test_a_data_set_can_share_with_a_model_and_is_no_model() -> None:
    blob = DiskFile(FOLDER, "blobs/b", 9, 1, is_link=True)
    used_twice = facts(blob, DiskFile("datasets--org--d", "blobs/b", 9, 1, is_link=True))
    assert (used_twice.own, used_twice.shared, used_twice.shared_with) == (0, 9, ())


def test_files_that_are_gone_by_now_do_not_count() -> None:
    assert facts().revisions == (RevisionUsage(FIRST, (), 0, 0),)


def test_a_folder_that_is_a_link_is_elsewhere_and_a_problem_is_told() -> None:
    assert facts(is_link=True).elsewhere
    assert facts(problem="the folder cannot be read: permission denied").problem is not None


def test_the_sum_of_everything_counts_every_content_once() -> None:
    class Three:
        def files(self, missed: Missed) -> Iterator[DiskFile]:
            missed("datasets--b")
            missed("datasets--a")
            missed("datasets--a")
            yield DiskFile("", "CACHEDIR.TAG", 3, 1)
            yield DiskFile("datasets--org--d", "blobs/x", 50, 2, names=2)
            yield DiskFile("spaces--org--s", "blobs/x", 50, 2, names=2)

    usage = DiskUsage(MemoryCache(), Three())
    assert usage() == Usage((), 0, 0, 0, 53, 10**12, ("datasets--a", "datasets--b"))
    assert usage().others == 53
