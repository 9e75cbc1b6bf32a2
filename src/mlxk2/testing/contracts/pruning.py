"""The contract of `CacheSweeper`: the same contents from the same models, and the same things gone afterwards."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.cache import COMMIT_LOCK, ModelCache
from mlxk2.ports.pruning import CacheSweeper, Kind, Leftover, ModelContents, RevisionUse, StoredBlob
from mlxk2.testing.models import commit_of

SweeperOf = Callable[[Iterable[StoredModel]], tuple[ModelCache, CacheSweeper]]
NAME = "org/model"
FOLDER = "models--org--model"
OTHER = "models--org--other"
FIRST, SECOND = commit_of(NAME, 1), commit_of(NAME, 2)
OLD, NEW, CONFIG = StoredFile(b"old" * 9, lfs=True), StoredFile(b"new!", lfs=True), StoredFile(b"{}")
LOOSE = "c" * 64
ETAG = "f" * 64
TIME = 1_000_000_000.0


def two_revisions() -> StoredModel:
    """Two revisions that share config.json; `main` names the second, nothing the first."""
    return StoredModel(
        FOLDER,
        {
            FIRST: StoredRevision({"config.json": CONFIG, "model.safetensors": OLD}, TIME),
            SECOND: StoredRevision({"config.json": CONFIG, "model.safetensors": NEW}, TIME + 1),
        },
        {"main": SECOND},
    )


def with_loose_blob() -> StoredModel:
    return replace(two_revisions(), extra={f"blobs/{LOOSE}": b"loose"})


def shared_by(*folders: str) -> list[StoredModel]:
    """Models without a ref whose one file is the same payload of the shared store."""
    file = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    revision = StoredRevision({"model.safetensors": file}, TIME)
    return [StoredModel(folder, {commit_of(folder): revision}, {}) for folder in folders]


def first_of(sweeper: CacheSweeper) -> ModelContents:
    return sweeper.contents().models[0]


class SweeperContract:
    """Subclasses supply the fixture `sweeper_of`: models → a cache that holds them, and its sweeper.

    Held locks are held while the test runs.
    """

    @pytest.fixture
    def sweeper_of(self, request: pytest.FixtureRequest) -> SweeperOf:
        raise NotImplementedError(request)

    def test_an_empty_cache_holds_nothing_and_nothing_can_be_taken(self, sweeper_of: SweeperOf) -> None:
        _, sweeper = sweeper_of([])
        contents = sweeper.contents()
        assert (contents.models, contents.payloads, contents.trash, contents.records) == ((), (), (), ())
        assert (sweeper.sweep([]).outcomes, sweeper.sweep([]).freed) == ((), 0)

    def test_a_model_tells_its_refs_its_blobs_and_what_each_revision_uses(self, sweeper_of: SweeperOf) -> None:
        model = first_of(sweeper_of([with_loose_blob()])[1])
        assert (model.folder, model.refs, model.problem, model.other) == (FOLDER, frozenset({SECOND}), None, False)
        assert set(model.revisions) == {
            RevisionUse(FIRST, frozenset({CONFIG.etag, OLD.etag}), 0, TIME),
            RevisionUse(SECOND, frozenset({CONFIG.etag, NEW.etag}), 0, TIME + 1),
        }
        when = two_revisions().modified
        assert set(model.blobs) == {
            StoredBlob(CONFIG.etag, 2, when),
            StoredBlob(OLD.etag, 27, when),
            StoredBlob(NEW.etag, 4, when),
            StoredBlob(LOOSE, 5, when),
        }

    def test_files_that_are_no_links_belong_to_their_revision(self, sweeper_of: SweeperOf) -> None:
        plain = StoredFile(b"plain", lfs=True, placement=Placement.PLAIN)
        model = first_of(sweeper_of([StoredModel(FOLDER, {FIRST: StoredRevision({"w.bin": plain})}, {})])[1])
        assert [(one.size, one.blobs) for one in model.revisions] == [(5, frozenset())]
        assert model.blobs == ()

    def test_partial_files_and_locks_name_their_guard(self, sweeper_of: SweeperOf) -> None:
        stored = replace(
            two_revisions(), partials=((ETAG, 7),), held_locks=frozenset({ETAG}), stale_locks=frozenset({NEW.etag})
        )
        model = first_of(sweeper_of([stored])[1])
        assert [(piece.guard, piece.size) for piece in model.partials] == [(ETAG, 7)]
        assert {(lock.guard, lock.held) for lock in model.locks} == {(ETAG, True), (NEW.etag, False)}

    @pytest.mark.parametrize("placement", [Placement.DANGLING, Placement.SHARED_DANGLING, Placement.OUTSIDE])
    def test_a_broken_or_leading_link_makes_a_model_unclear(self, sweeper_of: SweeperOf, placement: Placement) -> None:
        file = StoredFile(b"weights", lfs=True, placement=placement)
        model = first_of(sweeper_of([StoredModel(FOLDER, {FIRST: StoredRevision({"w.safetensors": file})}, {})])[1])
        assert model.problem
        assert (model.revisions, model.blobs) == ((), ())

    def test_what_no_cache_has_made_is_noticed(self, sweeper_of: SweeperOf) -> None:
        assert first_of(sweeper_of([replace(two_revisions(), extra={"notes.txt": b"mine"})])[1]).other
        assert not first_of(sweeper_of([replace(two_revisions(), extra={"trees/x.json": b"{}"})])[1]).other

    def test_a_payload_tells_all_blobs_that_use_it(self, sweeper_of: SweeperOf) -> None:
        models = shared_by(FOLDER, OTHER)
        etag = models[0].revisions[commit_of(FOLDER)].files["model.safetensors"].etag
        contents = sweeper_of(models)[1].contents()
        (payload,) = contents.payloads
        assert (payload.size, payload.users) == (7, frozenset({f"{FOLDER}/{etag}", f"{OTHER}/{etag}"}))
        assert {blob.payload for model in contents.models for blob in model.blobs} == {payload.name}

    def test_a_revision_goes_with_the_blobs_that_are_named(self, sweeper_of: SweeperOf) -> None:
        cache, sweeper = sweeper_of([two_revisions()])
        swept = sweeper.sweep([Leftover(Kind.REVISION, FOLDER, FIRST, 27, TIME, (OLD.etag,))])
        assert [outcome.kept for outcome in swept.outcomes] == [None]
        assert swept.freed == 27
        repo = cache.repo(FOLDER)
        assert [entry.commit for entry in repo.snapshots] == [SECOND]
        assert repo.blobs.keys() == {CONFIG.etag, NEW.etag}

    def test_what_only_revisions_that_go_have_in_common_goes_with_them(self, sweeper_of: SweeperOf) -> None:
        cache, sweeper = sweeper_of([replace(two_revisions(), refs={})])
        swept = sweeper.sweep(
            [
                Leftover(Kind.REVISION, FOLDER, FIRST, 29, TIME, (CONFIG.etag, OLD.etag)),
                Leftover(Kind.REVISION, FOLDER, SECOND, 4, TIME + 1, (NEW.etag,)),
                Leftover(Kind.FOLDER, FOLDER, "", 0, TIME + 1),
            ]
        )
        assert ([outcome.kept for outcome in swept.outcomes], swept.freed) == ([None] * 3, 33)
        assert cache.folders() == []

    def test_blobs_partial_files_and_locks_go(self, sweeper_of: SweeperOf) -> None:
        stored = replace(with_loose_blob(), partials=((ETAG, 7),), stale_locks=frozenset({NEW.etag}))
        cache, sweeper = sweeper_of([stored])
        model = first_of(sweeper)
        piece, lock = model.partials[0], model.locks[0]
        swept = sweeper.sweep(
            [
                Leftover(Kind.BLOB, FOLDER, LOOSE, 5, stored.modified),
                Leftover(Kind.PARTIAL, FOLDER, piece.name, 7, piece.modified, guard=piece.guard),
                Leftover(Kind.LOCK, FOLDER, f"{lock.guard}.lock", 0, lock.modified, guard=lock.guard),
            ]
        )
        assert [outcome.kept for outcome in swept.outcomes] == [None] * 3
        assert swept.freed == 12
        after = first_of(sweeper)
        assert (after.partials, after.locks) == ((), ())
        assert cache.repo(FOLDER).blobs.keys() == {CONFIG.etag, OLD.etag, NEW.etag}

    def test_an_empty_folder_goes(self, sweeper_of: SweeperOf) -> None:
        cache, sweeper = sweeper_of([StoredModel(FOLDER, {}, {"main": FIRST})])
        assert sweeper.sweep([Leftover(Kind.FOLDER, FOLDER, "", 40, 0.0)]).freed == 40
        assert cache.folders() == []

    @pytest.mark.parametrize("held", [ETAG, f"{FIRST}{COMMIT_LOCK}"])
    def test_what_belongs_to_a_running_download_stays(self, sweeper_of: SweeperOf, held: str) -> None:
        stored = replace(with_loose_blob(), partials=((ETAG, 7),), held_locks=frozenset({held}))
        cache, sweeper = sweeper_of([stored])
        piece = first_of(sweeper).partials[0]
        before = cache.repo(FOLDER)
        swept = sweeper.sweep(
            [
                Leftover(Kind.REVISION, FOLDER, FIRST, 27, TIME, (OLD.etag,)),
                Leftover(Kind.PARTIAL, FOLDER, piece.name, 7, piece.modified, guard=piece.guard),
                Leftover(Kind.LOCK, FOLDER, f"{held}.lock", 0, 0.0, guard=held),
            ]
        )
        assert all(outcome.kept and not outcome.refused for outcome in swept.outcomes)
        assert (len(swept.outcomes), swept.freed) == (3, 0)
        after = cache.repo(FOLDER)
        assert (after.snapshots, after.blobs.keys(), after.partials) == (
            before.snapshots,
            before.blobs.keys(),
            before.partials,
        )

    def test_a_payload_is_freed_with_the_last_model_that_uses_it(self, sweeper_of: SweeperOf) -> None:
        models = shared_by(FOLDER, OTHER)
        etag = models[0].revisions[commit_of(FOLDER)].files["model.safetensors"].etag
        _, sweeper = sweeper_of(models)
        first, last = (Leftover(Kind.REVISION, one, commit_of(one), 0, TIME, (etag,)) for one in (FOLDER, OTHER))
        assert sweeper.sweep([first]).freed == 0
        assert len(sweeper.contents().payloads) == 1
        assert sweeper.sweep([last]).freed == 7
        assert sweeper.contents().payloads == ()
