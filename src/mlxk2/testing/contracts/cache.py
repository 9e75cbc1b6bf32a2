"""The contract of `ModelCache`: the same facts from the same models, and the same effects of every change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from mlxk2.adapters.memory import MemoryContent, Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.adapters.memory.source import source_file
from mlxk2.ports.cache import (
    READ_NOTHING,
    Ends,
    FileFact,
    Head,
    LengthPrefixed,
    LinkState,
    ListedFile,
    ModelCache,
    Reading,
    Removal,
)
from mlxk2.ports.errors import DownloadFailed, ModelNotFound
from mlxk2.ports.transfer import Checked, Delivery, Event, unwatched
from mlxk2.testing.contracts.reading import READ_ALL, ends_of, reader_of
from mlxk2.testing.files import safetensors
from mlxk2.testing.models import commit_of, healthy_model, with_files, with_listing

CacheOf = Callable[[Iterable[StoredModel]], ModelCache]
NAME = "org/model"
FOLDER = "models--org--model"
OTHER = "models--org--other"
_SHARED_AND_OWN = ((b"own", Placement.BLOB), (b"shared", Placement.SHARED))
WHOLE = Removal(FOLDER, (), (), (), 0)
FIRST, SECOND = commit_of(NAME, 1), commit_of(NAME, 2)


def two_revisions() -> StoredModel:
    """Two revisions that share config.json and differ in their weights; `main` names the second."""
    old, new, config = (
        StoredFile(text, lfs=lfs) for text, lfs in ((b"old" * 9, True), (b"new!", True), (b"{}", False))
    )
    return StoredModel(
        FOLDER,
        {
            FIRST: StoredRevision({"config.json": config, "model.safetensors": old}, 1_000_000_000.0),
            SECOND: StoredRevision({"config.json": config, "model.safetensors": new}, 1_100_000_000.0),
        },
        {"main": SECOND, "v1": FIRST},
    )


def delivery(
    files: Mapping[str, bytes], commit: str = FIRST, ref: str | None = "main", served: Mapping[str, bytes] | None = None
) -> Delivery:
    """All the files of a commit; `served` are other bytes that the source has for some of them."""
    described = tuple(source_file(path, content) for path, content in sorted(files.items()))
    return Delivery(FOLDER, commit, ref, described, described, MemoryContent({**files, **(served or {})}))


class CacheContract:
    """Subclasses supply the fixture `cache_of`: models → a cache that holds them."""

    @pytest.fixture
    def cache_of(self, request: pytest.FixtureRequest) -> CacheOf:
        raise NotImplementedError(request)

    def test_an_empty_cache_has_no_folders_and_a_place(self, cache_of: CacheOf) -> None:
        assert cache_of([]).folders() == []
        assert cache_of([]).place()

    def test_folders_are_sorted(self, cache_of: CacheOf) -> None:
        cache = cache_of([healthy_model("org/b"), healthy_model("org/a")])
        assert cache.folders() == ["models--org--a", "models--org--b"]

    def test_a_repo_tells_its_refs_snapshots_and_blobs(self, cache_of: CacheOf) -> None:
        repo = cache_of([two_revisions()]).repo(FOLDER)
        assert repo.refs == {"main": SECOND, "v1": FIRST}
        assert sorted((entry.commit, entry.modified) for entry in repo.snapshots) == sorted(
            [(FIRST, 1_000_000_000.0), (SECOND, 1_100_000_000.0)]
        )
        assert sorted(blob.size for blob in repo.blobs.values()) == [2, 4, 27]
        assert repo.modified == two_revisions().modified
        assert repo.problem is None
        assert not repo.is_link
        assert not repo.is_gone

    def test_a_blob_tells_when_it_was_used_and_which_payload_of_the_shared_store_it_is(self, cache_of: CacheOf) -> None:
        own, shared = (StoredFile(text, lfs=True, placement=place) for text, place in _SHARED_AND_OWN)
        model = StoredModel(FOLDER, {FIRST: StoredRevision({"a": own, "b": shared})}, {"main": FIRST})
        repo = cache_of([model]).repo(FOLDER)
        assert (repo.blobs[own.etag].payload, repo.blobs[shared.etag].payload) == (None, shared.payload)
        assert repo.used == model.modified

    def test_a_folder_that_is_not_there_is_reported_not_raised(self, cache_of: CacheOf) -> None:
        repo = cache_of([]).repo(FOLDER)
        assert repo.problem is not None
        assert repo.is_gone
        assert repo.snapshots == ()

    def test_leftovers_of_downloads_are_told_apart_by_their_blob(self, cache_of: CacheOf) -> None:
        model = two_revisions()
        finished = model.revisions[FIRST].files["config.json"].etag
        repo = cache_of([replace(model, partials=(("f" * 64, 5), (finished, 1)))]).repo(FOLDER)
        assert {(part.etag, part.size, part.finished) for part in repo.partials} == {
            ("f" * 64, 5, False),
            (finished, 1, True),
        }
        assert set(repo.blobs) == {file.etag for rev in model.revisions.values() for file in rev.files.values()}

    def test_a_lock_file_that_nobody_holds_is_no_lock(self, cache_of: CacheOf) -> None:
        repo = cache_of([replace(two_revisions(), stale_locks=frozenset({"a" * 64}))]).repo(FOLDER)
        assert repo.held_locks == frozenset()

    def test_files_come_sorted_with_the_size_and_name_of_their_blob(self, cache_of: CacheOf) -> None:
        facts = self._snapshot(cache_of([two_revisions()]), FIRST)
        weights = two_revisions().revisions[FIRST].files["model.safetensors"]
        assert [file.path for file in facts] == ["config.json", "model.safetensors"]
        assert (facts[1].size, facts[1].blob, facts[1].state) == (27, weights.etag, LinkState.FILE)

    def test_sub_folders_are_part_of_the_snapshot(self, cache_of: CacheOf) -> None:
        cache = cache_of([with_files(two_revisions(), {"1_Pooling/config.json": b"{}"})])
        assert next(file.path for file in self._snapshot(cache, FIRST)) == "1_Pooling/config.json"

    @pytest.mark.parametrize(
        ("reading", "head", "tail"),
        [
            (Head(3), b"012", b""),
            (Head(99), b"0123456789", b""),
            (Ends(4), b"0123", b"6789"),
            (Ends(99), b"0123456789", b"0123456789"),
            (None, b"", b""),
        ],
    )
    def test_a_probe_decides_what_is_read(
        self, cache_of: CacheOf, reading: Reading | None, head: bytes, tail: bytes
    ) -> None:
        cache = cache_of([with_files(two_revisions(), {"digits.txt": b"0123456789"})])
        facts = cache.snapshot(
            cache.repo(FOLDER), FIRST, reader_of(lambda path, _: reading if path == "digits.txt" else None)
        )
        file = next(file for file in facts.files if file.path == "digits.txt")
        assert (*ends_of(file), file.size) == (head, tail, 10)

    def test_a_length_prefix_is_followed_to_its_limit(self, cache_of: CacheOf) -> None:
        content = safetensors()
        cache = cache_of([with_files(two_revisions(), {"w.safetensors": content, "big.safetensors": b"\xff" * 40})])
        facts = cache.snapshot(cache.repo(FOLDER), FIRST, reader_of(lambda path, _: _prefixed(path)))
        heads = {file.path: ends_of(file)[0] for file in facts.files}
        assert heads["w.safetensors"] == content[: 8 + int.from_bytes(content[:8], "little")]
        assert len(heads["big.safetensors"]) == 8 + 16

    def test_an_empty_file_is_not_probed(self, cache_of: CacheOf) -> None:
        cache = cache_of([with_files(two_revisions(), {"empty.json": b""})])
        asked: list[str] = []
        cache.snapshot(cache.repo(FOLDER), FIRST, reader_of(lambda path, _: asked.append(path)))
        assert sorted(asked) == ["config.json", "model.safetensors"]

    @pytest.mark.parametrize(
        ("placement", "state"),
        [
            (Placement.BLOB, LinkState.FILE),
            (Placement.SHARED, LinkState.FILE),
            (Placement.PLAIN, LinkState.FILE),
            (Placement.DANGLING, LinkState.DANGLING),
            (Placement.SHARED_DANGLING, LinkState.DANGLING),
            (Placement.OUTSIDE, LinkState.OUTSIDE),
            (Placement.OUTSIDE_BLOB, LinkState.OUTSIDE),
            (Placement.FOLDER, LinkState.NOT_A_FILE),
        ],
    )
    def test_every_way_to_store_a_file_has_its_state_and_only_good_ones_are_read(
        self, cache_of: CacheOf, placement: Placement, state: LinkState
    ) -> None:
        stored = StoredFile(b"payload", lfs=True, placement=placement)
        cache = cache_of([with_files(two_revisions(), {"model.safetensors": stored})])
        file = next(file for file in self._snapshot(cache, FIRST) if file.path == "model.safetensors")
        readable = state is LinkState.FILE
        assert (file.state, file.size) == (state, 7 if readable else 0)
        assert ends_of(file) == (b"payload" if readable else b"", b"")

    def test_the_listing_of_a_commit_is_read_where_there_is_one(self, cache_of: CacheOf) -> None:
        model = with_listing(two_revisions())
        cache = cache_of([model])
        listing = cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING).listing
        assert listing == model.revisions[FIRST].listing
        bare = cache_of([replace(two_revisions(), folder="models--org--bare")])
        assert bare.snapshot(bare.repo("models--org--bare"), FIRST, READ_NOTHING).listing is None

    def test_a_recorded_listing_tells_what_a_snapshot_without_one_should_hold(self, cache_of: CacheOf) -> None:
        cache = cache_of([two_revisions()])
        told = delivery({"model.safetensors": b"old" * 9, "added.txt": b"more"}).listing
        cache.record_listing(FOLDER, FIRST, reversed(told))
        listing = cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING).listing
        assert listing == tuple(ListedFile(file.path, file.size, file.etag) for file in told)
        assert cache.snapshot(cache.repo(FOLDER), SECOND, READ_NOTHING).listing is None

    def test_a_listing_that_the_cache_has_stays(self, cache_of: CacheOf) -> None:
        model = with_listing(two_revisions())
        cache = cache_of([model])
        cache.record_listing(FOLDER, FIRST, delivery({"other.txt": b"else"}).listing)
        assert cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING).listing == model.revisions[FIRST].listing

    def test_no_listing_is_recorded_of_what_is_not_in_the_cache(self, cache_of: CacheOf) -> None:
        cache = cache_of([two_revisions()])
        absent = commit_of(NAME, 3)
        cache.record_listing(FOLDER, absent, delivery({"a.txt": b"a"}).listing)
        cache.record_listing(OTHER, FIRST, delivery({"a.txt": b"a"}).listing)
        assert cache.folders() == [FOLDER]
        assert [entry.commit for entry in cache.repo(FOLDER).snapshots] == sorted([FIRST, SECOND])

    def test_a_recorded_listing_goes_with_its_revision(self, cache_of: CacheOf) -> None:
        cache = cache_of([two_revisions()])
        told = delivery({"model.safetensors": b"old" * 9, "later.txt": b"x"})
        cache.record_listing(FOLDER, FIRST, told.listing)
        cache.remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
        partly = told._replace(files=told.files[1:], listing=told.files[1:])
        cache.install(partly, unwatched)
        listing = cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING).listing
        assert [row.path for row in listing or ()] == ["model.safetensors"]

    def test_blobs_of_other_listings_are_told_while_something_is_downloaded(self, cache_of: CacheOf) -> None:
        model = two_revisions()
        listed = with_listing(model).revisions[SECOND]
        mixed = replace(model, revisions={FIRST: model.revisions[FIRST], SECOND: listed})
        quiet, busy = cache_of([mixed]), cache_of([replace(mixed, folder=OTHER, partials=(("e" * 64, 3),))])
        assert quiet.snapshot(quiet.repo(FOLDER), FIRST, READ_NOTHING).elsewhere == frozenset()
        told = busy.snapshot(busy.repo(OTHER), FIRST, READ_NOTHING).elsewhere
        assert told == {row.blob for row in listed.listing or ()}

    def test_a_model_frees_all_its_bytes(self, cache_of: CacheOf) -> None:
        refs = 2 * 40
        assert cache_of([two_revisions()]).freed_bytes(WHOLE) == 2 + 4 + 27 + refs

    def test_a_revision_frees_its_blobs_and_refs(self, cache_of: CacheOf) -> None:
        etag = two_revisions().revisions[FIRST].files["model.safetensors"].etag
        assert cache_of([two_revisions()]).freed_bytes(Removal(FOLDER, ("v1",), (FIRST,), (etag,), 0)) == 27 + 40

    def test_a_revision_in_a_cache_without_links_frees_its_files(self, cache_of: CacheOf) -> None:
        plain = StoredFile(b"payload", lfs=True, placement=Placement.PLAIN)
        cache = cache_of([with_files(two_revisions(), {"model.safetensors": plain})])
        assert cache.freed_bytes(Removal(FOLDER, (), (FIRST,), (), 0)) == 7

    def test_a_shared_payload_is_freed_only_with_its_last_user(self, cache_of: CacheOf) -> None:
        stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
        models = [self._one_file(name, stored) for name in ("org/a", "org/b")]
        cache = cache_of(models)
        refs = 40
        assert cache.freed_bytes(WHOLE._replace(folder="models--org--a")) == refs
        cache.remove(WHOLE._replace(folder="models--org--a"))
        assert cache.freed_bytes(WHOLE._replace(folder="models--org--b")) == 7 + refs

    def test_removing_a_model_leaves_the_others(self, cache_of: CacheOf) -> None:
        cache = cache_of([healthy_model("org/model"), healthy_model("org/model-LARGE")])
        cache.remove(Removal("models--org--model", (), (), (), 0))
        assert cache.folders() == ["models--org--model-LARGE"]

    @pytest.mark.parametrize("removal", [WHOLE, Removal(FOLDER, ("v1",), (FIRST,), (), 0)])
    def test_removing_what_another_program_has_deleted_is_told(self, cache_of: CacheOf, removal: Removal) -> None:
        cache = cache_of([two_revisions()])
        cache.remove(WHOLE)
        with pytest.raises(ModelNotFound):
            cache.remove(removal)

    def test_removing_a_revision_leaves_what_the_others_use(self, cache_of: CacheOf) -> None:
        model = two_revisions()
        old = model.revisions[FIRST].files["model.safetensors"].etag
        cache = cache_of([model])
        cache.remove(Removal(FOLDER, ("v1",), (FIRST,), (old,), 27))
        repo = cache.repo(FOLDER)
        assert repo.refs == {"main": SECOND}
        assert [entry.commit for entry in repo.snapshots] == [SECOND]
        assert old not in repo.blobs
        assert len(repo.blobs) == 2
        assert [file.state for file in self._snapshot(cache, SECOND)] == [LinkState.FILE, LinkState.FILE]

    def test_installing_makes_a_snapshot_that_the_ref_names(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        wanted = delivery({"config.json": b"{}", "sub/model.safetensors": b"weights"}, ref="release/v1")
        assert cache.install(wanted, unwatched) == 9
        repo = cache.repo(FOLDER)
        assert repo.refs == {"release/v1": FIRST}
        facts = cache.snapshot(repo, FIRST, READ_ALL)
        assert [(file.path, ends_of(file)[0]) for file in facts.files] == [
            ("config.json", b"{}"),
            ("sub/model.safetensors", b"weights"),
        ]
        assert [(row.path, row.blob) for row in facts.listing or ()] == [
            (file.path, file.etag) for file in wanted.listing
        ]

    def test_a_commit_that_was_asked_for_by_its_hash_gets_no_ref(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        cache.install(delivery({"config.json": b"{}"}, ref=None), unwatched)
        assert cache.repo(FOLDER).refs == {}
        assert [entry.commit for entry in cache.repo(FOLDER).snapshots] == [FIRST]

    def test_some_files_of_a_commit_can_be_installed_with_the_listing_of_all(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        whole = delivery({"config.json": b"{}", "model.safetensors": b"weights"})
        cache.install(whole._replace(files=whole.files[:1]), unwatched)
        facts = cache.snapshot(cache.repo(FOLDER), FIRST, READ_NOTHING)
        assert [file.path for file in facts.files] == ["config.json"]
        assert [row.path for row in facts.listing or ()] == ["config.json", "model.safetensors"]

    def test_installing_again_fetches_only_what_is_missing(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        cache.install(delivery({"config.json": b"{}"}), unwatched)
        events: list[Event] = []
        second = delivery({"config.json": b"{}", "model.safetensors": b"weights"}, SECOND)
        assert cache.missing_bytes(FOLDER, SECOND, second.files) == 7
        assert cache.install(second, events.append) == 7
        assert cache.missing_bytes(FOLDER, SECOND, second.files) == 0
        assert cache.repo(FOLDER).refs == {"main": SECOND}
        assert len(cache.repo(FOLDER).snapshots) == 2
        checked = {event.path: event.fetched for event in events if isinstance(event, Checked)}
        assert checked == {"config.json": False, "model.safetensors": True}

    def test_content_with_a_wrong_hash_is_refused_and_no_snapshot_is_made(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        wrong = delivery({"model.safetensors": b"weights"}, served={"model.safetensors": b"weighty"})
        with pytest.raises(DownloadFailed, match=r"model\.safetensors arrived damaged"):
            cache.install(wrong, unwatched)
        assert FOLDER not in cache.folders() or cache.repo(FOLDER).snapshots == ()
        assert cache.install(delivery({"model.safetensors": b"weights"}), unwatched) == 7

    def test_empty_files_and_files_with_the_same_content_are_installed(self, cache_of: CacheOf) -> None:
        cache = cache_of([])
        cache.install(delivery({"a.txt": b"", "b.txt": b"same", "c.txt": b"same"}), unwatched)
        assert [(file.path, file.size) for file in self._snapshot(cache, FIRST)] == [
            ("a.txt", 0),
            ("b.txt", 4),
            ("c.txt", 4),
        ]

    def test_the_disk_has_some_room_left(self, cache_of: CacheOf) -> None:
        assert cache_of([]).free_bytes() > 0

    def _snapshot(self, cache: ModelCache, commit: str) -> tuple[FileFact, ...]:
        return cache.snapshot(cache.repo(FOLDER), commit, READ_ALL).files

    def _one_file(self, name: str, stored: StoredFile) -> StoredModel:
        commit = commit_of(name)
        folder = "models--" + name.replace("/", "--")
        return StoredModel(folder, {commit: StoredRevision({"model.safetensors": stored})}, {"main": commit})


def _prefixed(path: str) -> Any:
    return LengthPrefixed(16 if path.startswith("big") else 10_000) if path.endswith(".safetensors") else None
