"""The contract of `ContentHasher`: true hashes, and nothing read twice that looks unchanged."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.verifying import ContentHasher, Event, Hashed, Hashing, Settled, Target
from mlxk2.testing.models import commit_of

FOLDER = "models--org--model"
COMMIT = commit_of("org/model")
NOW = 1_700_000_000.0
DAY = 86_400.0


class Shelf(NamedTuple):
    """A hasher on a cache; `put` makes the cache hold this model, in the place of an earlier one of the same name.

    `cache` is that cache as a program sees it that starts now.
    """

    hasher: ContentHasher
    put: Callable[[StoredModel], None]
    cache: Callable[[], ModelCache]


def model(modified: float = NOW - DAY, **files: StoredFile) -> StoredModel:
    """One revision; file names are given with `_` for the dot."""
    stored = {name.replace("_", "."): file for name, file in files.items()}
    return StoredModel(FOLDER, {COMMIT: StoredRevision(stored, modified)}, {"main": COMMIT}, modified=modified)


def target(path: str, file: StoredFile) -> Target:
    placed = file.placement is not Placement.PLAIN
    blob, commit = (file.etag, None) if placed else (None, COMMIT)
    return Target(FOLDER, blob, commit, path, len(file.content), file.lfs)


def ignore(event: Event) -> None:
    """Nobody watches."""


def one(hasher: ContentHasher, wanted: Target, now: float = NOW, since: float = NOW - DAY) -> Hashed:
    return hasher.hashes([wanted], now, since, ignore)[wanted]


WEIGHTS = StoredFile(b"weights" * 1000, lfs=True)
CONFIG = StoredFile(b"{}")
EMPTY = StoredFile(b"")


class HasherContract:
    """Subclasses supply the fixture `shelf`."""

    @pytest.fixture
    def shelf(self, request: pytest.FixtureRequest) -> Shelf:
        raise NotImplementedError(request)

    @pytest.mark.parametrize(
        "file",
        [
            *(WEIGHTS, CONFIG, EMPTY),
            replace(WEIGHTS, placement=Placement.SHARED),
            replace(WEIGHTS, placement=Placement.PLAIN),
            replace(CONFIG, placement=Placement.PLAIN),
        ],
    )
    def test_the_hash_is_that_of_the_content_wherever_it_is(self, shelf: Shelf, file: StoredFile) -> None:
        shelf.put(model(a_bin=file))
        assert one(shelf.hasher, target("a.bin", file)) == Hashed(file.etag, len(file.content), NOW)

    def test_the_hash_of_a_damaged_content_is_its_own(self, shelf: Shelf) -> None:
        damaged = StoredFile(b"weighty", lfs=True, named=WEIGHTS.etag)
        shelf.put(model(a_bin=damaged))
        assert one(shelf.hasher, target("a.bin", damaged)).hash == StoredFile(b"weighty", lfs=True).etag

    def test_what_looks_unchanged_is_not_read_again(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        first = one(shelf.hasher, target("a.bin", WEIGHTS))
        second = one(shelf.hasher, target("a.bin", WEIGHTS), now=NOW + 10)
        assert (first.fresh, second) == (True, first._replace(fresh=False))

    def test_an_old_hash_is_taken_again_and_remembered_as_new(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        wanted = target("a.bin", WEIGHTS)
        one(shelf.hasher, wanted)
        later = NOW + 2 * DAY
        assert one(shelf.hasher, wanted, later, later - DAY) == Hashed(WEIGHTS.etag, len(WEIGHTS.content), later)
        assert one(shelf.hasher, wanted, later + 1, later - DAY).fresh is False

    def test_no_hash_is_good_enough_when_all_is_to_be_read_again(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        one(shelf.hasher, target("a.bin", WEIGHTS))
        assert one(shelf.hasher, target("a.bin", WEIGHTS), since=math.inf).fresh is True

    def test_a_hash_of_the_future_is_not_believed(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        one(shelf.hasher, target("a.bin", WEIGHTS))
        assert one(shelf.hasher, target("a.bin", WEIGHTS), NOW - 60, NOW - DAY).fresh is True

    def test_a_content_that_was_written_since_is_read(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        one(shelf.hasher, target("a.bin", WEIGHTS))
        written = StoredFile(b"WEIGHTS" * 1000, lfs=True, named=WEIGHTS.etag)
        shelf.put(model(NOW - 60, a_bin=written))
        found = one(shelf.hasher, target("a.bin", written))
        assert (found.fresh, found.hash) == (True, StoredFile(written.content, lfs=True).etag)

    def test_bit_rot_shows_when_the_hash_has_become_too_old_at_the_latest(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        wanted = target("a.bin", WEIGHTS)
        one(shelf.hasher, wanted)
        rotten = StoredFile(b"wEights" + WEIGHTS.content[7:], lfs=True, named=WEIGHTS.etag)
        shelf.put(model(a_bin=rotten))
        assert one(shelf.hasher, wanted, NOW + 2 * DAY, NOW + DAY).hash == StoredFile(rotten.content, lfs=True).etag

    def test_a_cache_knows_what_was_found_damaged_until_it_is_written_again(self, shelf: Shelf) -> None:
        damaged = StoredFile(b"weighty" * 1000, lfs=True, named=WEIGHTS.etag)
        shelf.put(model(a_bin=damaged, b_json=CONFIG))
        assert shelf.cache().repo(FOLDER).damaged == frozenset()
        one(shelf.hasher, target("b.json", CONFIG))
        assert shelf.cache().repo(FOLDER).damaged == frozenset()
        one(shelf.hasher, target("a.bin", damaged))
        assert shelf.cache().repo(FOLDER).damaged == {WEIGHTS.etag}
        shelf.put(model(NOW - 60, a_bin=WEIGHTS, b_json=CONFIG))
        assert shelf.cache().repo(FOLDER).damaged == frozenset()
        one(shelf.hasher, target("a.bin", WEIGHTS))
        assert shelf.cache().repo(FOLDER).damaged == frozenset()

    def test_a_damage_in_the_shared_store_is_known_too(self, shelf: Shelf) -> None:
        damaged = StoredFile(b"weighty", lfs=True, named=WEIGHTS.etag, placement=Placement.SHARED)
        shelf.put(model(a_bin=damaged))
        one(shelf.hasher, target("a.bin", damaged))
        assert shelf.cache().repo(FOLDER).damaged == {WEIGHTS.etag}

    def test_what_is_not_there_has_a_problem_and_the_others_a_hash(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS))
        gone = [target("b.json", CONFIG), target("c.json", replace(CONFIG, placement=Placement.PLAIN))]
        wanted = [*gone, gone[0]._replace(folder="models--org--gone"), target("a.bin", WEIGHTS)]
        found = shelf.hasher.hashes(wanted, NOW, NOW - DAY, ignore)
        assert [(found[one].hash, found[one].problem) for one in wanted] == [
            *[(None, "was deleted while it was checked")] * 3,
            (WEIGHTS.etag, None),
        ]

    def test_every_target_is_told_of_once(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS, b_json=CONFIG))
        wanted = [target("a.bin", WEIGHTS), target("b.json", CONFIG), target("gone.json", EMPTY)]
        for _ in range(2):
            told, _progress = self._told(shelf.hasher, [*wanted, wanted[0]])
            assert sorted(told) == sorted(wanted)

    def test_progress_ends_when_everything_that_is_to_be_read_has_been(self, shelf: Shelf) -> None:
        shelf.put(model(a_bin=WEIGHTS, b_json=CONFIG))
        one(shelf.hasher, target("b.json", CONFIG))
        wanted = [target("a.bin", WEIGHTS), target("b.json", CONFIG)]
        _, progress = self._told(shelf.hasher, wanted)
        assert {event.total for event in progress} == {len(WEIGHTS.content)}
        assert (progress[-1].done, progress[-1].running) == (len(WEIGHTS.content), ())
        assert [event.done for event in progress] == sorted(event.done for event in progress)
        assert self._told(shelf.hasher, wanted)[1] == []

    def _told(self, hasher: ContentHasher, wanted: Sequence[Target]) -> tuple[list[Target], list[Hashing]]:
        events: list[Event] = []
        hasher.hashes(wanted, NOW, NOW - DAY, events.append)
        settled = [event.target for event in events if isinstance(event, Settled)]
        return settled, [event for event in events if isinstance(event, Hashing)]
