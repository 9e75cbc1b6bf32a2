"""What is left over: rule by rule, and, for any cache at all, that a plan takes nothing which somebody uses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.domain.pruning import QUIET_SECONDS, PruneChoice, PrunePlan, plan_of
from mlxk2.domain.usecases.prune_cache import PruneCache
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.pruning import (
    CacheContents,
    Kind,
    Leftover,
    LockFile,
    ModelContents,
    PartialPiece,
    Payload,
    RecordFile,
    RevisionUse,
    StoredBlob,
    TrashEntry,
)
from mlxk2.testing import MemoryCache, MemoryClock, MemorySweeper, StoredFile, StoredModel, StoredRevision

NOW = 2_000_000_000.0
DAY = 86_400.0
FOLDER = "models--org--model"
OLD, NEW, PINNED = "a" * 40, "b" * 40, "c" * 40


def ago(days: float) -> float:
    return NOW - days * DAY


def model() -> ModelContents:
    """A revision with a ref, an older one without, and a blob that both use."""
    return ModelContents(
        FOLDER,
        refs=frozenset({NEW}),
        revisions=(
            RevisionUse(OLD, frozenset({"both", "old"}), 1, ago(40)),
            RevisionUse(NEW, frozenset({"both", "new"}), 2, ago(10)),
        ),
        blobs=(StoredBlob("both", 100, ago(40)), StoredBlob("old", 200, ago(40)), StoredBlob("new", 400, ago(10))),
        modified=ago(10),
    )


def plan(contents: ModelContents | CacheContents, **choice: float) -> PrunePlan:
    whole = CacheContents((contents,)) if isinstance(contents, ModelContents) else contents
    return plan_of(whole, PruneChoice(choice.get("older_than", 0.0), int(choice.get("keep_last", 0))), NOW)


def taken(found: PrunePlan) -> list[tuple[Kind, str, int]]:
    return [(one.kind, one.name, one.size) for one in found.leftovers]


def test_a_revision_without_a_ref_goes_with_the_blobs_that_no_other_uses() -> None:
    found = plan(model())
    assert taken(found) == [(Kind.REVISION, OLD, 201)]
    assert found.leftovers[0].blobs == ("old",)
    assert (found.frees, found.kept) == (201, ())


def test_what_two_revisions_that_go_share_is_counted_once() -> None:
    found = plan(replace_refs(model(), frozenset()))
    assert found.frees == 1 + 2 + 100 + 200 + 400 + 0
    assert sorted(blob for one in found.leftovers for blob in one.blobs) == ["both", "new", "old"]


def replace_refs(contents: ModelContents, refs: frozenset[str]) -> ModelContents:
    return contents._replace(refs=refs)


@pytest.mark.parametrize(("number", "goes"), [(0, [OLD, PINNED]), (1, [OLD, PINNED]), (2, [OLD]), (3, []), (9, [])])
def test_the_newest_revisions_stay_whether_or_not_a_ref_names_them(number: int, goes: list[str]) -> None:
    pinned = RevisionUse(PINNED, frozenset({"both"}), 0, ago(20))
    contents = model()._replace(revisions=(*model().revisions, pinned))
    found = plan(contents, keep_last=number)
    assert [one.name for one in found.leftovers if one.kind is Kind.REVISION] == goes


def test_a_revision_that_has_just_changed_may_be_being_downloaded_between_two_locks() -> None:
    young = RevisionUse(OLD, frozenset({"old"}), 0, NOW - QUIET_SECONDS + 1)
    found = plan(model()._replace(revisions=(young, model().revisions[1])))
    assert found.leftovers == ()
    assert [kept.reason for kept in found.kept] == ["it changed in the last 10 minutes and may be being downloaded"]
    assert plan(model()._replace(revisions=(young._replace(modified=NOW - QUIET_SECONDS), model().revisions[1]))).frees


def test_a_revision_from_the_future_stays_and_is_told_as_such() -> None:
    coming = model().revisions[0]._replace(modified=NOW + 1)
    found = plan(model()._replace(revisions=(coming, model().revisions[1])))
    assert (found.leftovers, [kept.reason.split(",")[0] for kept in found.kept]) == (
        (),
        ["its time of change lies in the future"],
    )


def test_a_blob_that_no_revision_uses_goes() -> None:
    loose = StoredBlob("loose", 7, ago(1))
    assert (Kind.BLOB, "loose", 7) in taken(plan(model()._replace(blobs=(*model().blobs, loose))))


def test_a_lock_that_is_held_keeps_revisions_and_blobs_and_says_so() -> None:
    locks = (LockFile("etag", ago(1), held=True),)
    found = plan(model()._replace(locks=locks, blobs=(*model().blobs, StoredBlob("loose", 7, ago(1)))))
    assert found.leftovers == ()
    assert [(kept.folder, kept.reason) for kept in found.kept] == [(FOLDER, "a download of it is running")]
    assert plan(model()._replace(locks=locks, refs=frozenset({OLD, NEW}))).kept == ()


def test_a_partial_file_goes_unless_its_own_lock_or_that_of_a_commit_is_held() -> None:
    pieces = (PartialPiece("x.incomplete", "x", 5, ago(1)), PartialPiece("y.incomplete", "y", 6, ago(1)))
    contents = model()._replace(refs=frozenset({OLD, NEW}), partials=pieces)
    assert taken(plan(contents)) == [(Kind.PARTIAL, "x.incomplete", 5), (Kind.PARTIAL, "y.incomplete", 6)]
    held = contents._replace(locks=(LockFile("x", ago(1), held=True),))
    assert taken(plan(held)) == [(Kind.PARTIAL, "y.incomplete", 6)]
    installing = contents._replace(locks=(LockFile(f"{NEW}{COMMIT_LOCK}", ago(1), held=True),))
    assert taken(plan(installing)) == []


def test_a_lock_stays_while_it_is_held_or_its_partial_file_stays() -> None:
    contents = model()._replace(
        refs=frozenset({OLD, NEW}),
        partials=(PartialPiece("y.incomplete", "y", 6, ago(1)),),
        locks=(LockFile("x", ago(50), held=False), LockFile("y", ago(50), held=False)),
    )
    assert [one.name for one in plan(contents).leftovers if one.kind is Kind.LOCK] == ["x.lock", "y.lock"]
    assert taken(plan(contents, older_than=30 * DAY)) == [(Kind.LOCK, "x.lock", 0)]


def test_only_a_folder_that_holds_nothing_else_goes() -> None:
    empty = ModelContents(FOLDER, refs=frozenset({NEW}), size=40, modified=ago(1))
    assert taken(plan(empty)) == [(Kind.FOLDER, "", 40)]
    assert taken(plan(empty._replace(modified=NOW - 5))) == []
    assert taken(plan(empty._replace(other=True))) == []
    assert taken(plan(empty._replace(there=False))) == []
    assert taken(plan(empty._replace(locks=(LockFile("x", NOW, held=True),)))) == []
    whole = plan(model()._replace(refs=frozenset(), modified=ago(1)))
    assert [one.kind for one in whole.leftovers] == [Kind.REVISION, Kind.REVISION, Kind.FOLDER]


def test_a_model_whose_contents_nobody_can_tell_is_left_alone() -> None:
    found = plan(ModelContents(FOLDER, problem="a link is broken"))
    assert found.leftovers == ()
    assert [(kept.folder, kept.reason) for kept in found.kept] == [(FOLDER, "a link is broken")]


def test_a_payload_counts_when_all_its_users_go_and_goes_alone_when_it_has_none() -> None:
    link = StoredBlob("old", 0, ago(40), "payload")
    blobs = (*(blob for blob in model().blobs if blob.name != "old"), link)
    users = frozenset({f"{FOLDER}/old"})
    shared = CacheContents((model()._replace(blobs=blobs),), (Payload("payload", 5000, ago(40), users),))
    assert plan(shared).frees == 1 + 5000
    others = CacheContents(shared.models, (Payload("payload", 5000, ago(40), users | {"datasets--x/y"}),))
    assert plan(others).frees == 1
    unknown = CacheContents(shared.models, (Payload("payload", 5000, ago(40), None),))
    assert plan(unknown).frees == 1
    orphan = CacheContents((), (Payload("payload", 5000, ago(40), frozenset()),))
    assert taken(plan(orphan)) == [(Kind.PAYLOAD, "payload", 5000)]
    assert taken(plan(CacheContents((), (Payload("payload", 5000, ago(40), None),)))) == []


def test_trash_goes_and_records_of_revisions_that_are_gone() -> None:
    gone, here = RecordFile(FOLDER, "d" * 40, 9, ago(1)), RecordFile(FOLDER, NEW, 9, ago(1))
    contents = CacheContents((replace_refs(model(), frozenset({OLD, NEW})),), (), (TrashEntry("t", 3, ago(1)),))
    found = plan(contents._replace(records=(gone, here)))
    assert taken(found) == [(Kind.TRASH, "t", 3), (Kind.RECORD, "d" * 40, 9)]
    unclear = CacheContents((ModelContents(FOLDER, problem="?"),), records=(gone,))
    assert plan(unclear).leftovers == ()


@pytest.mark.parametrize("days", [39.0, 40.0, 41.0])
def test_what_has_changed_later_stays_whatever_it_is(days: float) -> None:
    contents = CacheContents(
        (
            model()._replace(
                blobs=(*model().blobs, StoredBlob("loose", 7, ago(40))),
                partials=(PartialPiece("y.incomplete", "y", 6, ago(40)),),
                locks=(LockFile("z", ago(40), held=False),),
            ),
            ModelContents("models--org--none", modified=ago(40)),
        ),
        (Payload("payload", 1, ago(40), frozenset()),),
        (TrashEntry("t", 3, ago(40)),),
        (RecordFile("models--org--other", NEW, 9, ago(40)),),
    )
    found = plan(contents, older_than=days * DAY)
    assert {one.kind for one in found.leftovers} == (set(Kind) if days <= 40 else set())


NAMES = st.sampled_from([letter * 64 for letter in "0123456789"])
COMMITS = st.sampled_from([OLD, NEW, PINNED, "d" * 40])
TIMES = st.sampled_from([ago(400), ago(31), ago(29), NOW - QUIET_SECONDS, NOW - 1, NOW + 100])


@st.composite
def models(draw: st.DrawFn, folder: str = FOLDER) -> ModelContents:
    """Anything that could be on a disk, blobs that are missing and locks of anything included."""
    guards = st.one_of(NAMES, COMMITS.map(lambda commit: f"{commit}{COMMIT_LOCK}"))
    commits = draw(st.lists(COMMITS, unique=True))
    stored = draw(st.lists(NAMES, unique=True))
    return ModelContents(
        folder,
        there=draw(st.sampled_from([True, True, True, False])),
        refs=frozenset(draw(st.lists(COMMITS, max_size=2))),
        revisions=tuple(
            RevisionUse(commit, frozenset(draw(st.lists(NAMES))), draw(st.integers(0, 9)), draw(TIMES))
            for commit in commits
        ),
        blobs=tuple(
            StoredBlob(name, draw(st.integers(0, 99)), draw(TIMES), draw(st.sampled_from([None, "p", "q"])))
            for name in stored
        ),
        partials=tuple(
            PartialPiece(f"{guard}.{number}.incomplete", guard, 1, draw(TIMES))
            for number, guard in enumerate(draw(st.lists(guards, max_size=3)))
        ),
        locks=tuple(
            LockFile(guard, draw(TIMES), held=draw(st.booleans()))
            for guard in draw(st.lists(guards, unique=True, max_size=3))
        ),
        modified=draw(TIMES),
        other=draw(st.booleans()),
        problem=draw(st.sampled_from([None, None, None, "unclear"])),
    )


PAYLOADS = st.lists(
    st.builds(
        Payload,
        st.sampled_from(["p", "q"]),
        st.just(1000),
        TIMES,
        st.one_of(st.none(), st.frozensets(NAMES.map(lambda name: f"{FOLDER}/{name}"))),
    ),
    unique_by=lambda payload: payload.name,
)
CHOICES = st.builds(PruneChoice, st.sampled_from([0.0, 30 * DAY]), st.integers(0, 3))


@given(models(), PAYLOADS, CHOICES)
def test_a_plan_never_takes_what_a_live_snapshot_or_a_download_uses(
    contents: ModelContents, payloads: list[Payload], choice: PruneChoice
) -> None:
    found = plan_of(CacheContents((contents,), tuple(payloads)), choice, NOW).leftovers
    going = {one.name for one in found if one.kind is Kind.REVISION}
    blobs = {one.name for one in found if one.kind is Kind.BLOB} | {blob for one in found for blob in one.blobs}
    live = [one for one in contents.revisions if one.commit not in going]
    held = {lock.guard for lock in contents.locks if lock.held}

    assert not going & contents.refs
    assert not blobs & set[str]().union(*(one.blobs for one in live))
    assert blobs <= {blob.name for blob in contents.blobs}
    newest = sorted(contents.revisions, key=lambda one: -one.modified)[: choice.keep_last]
    assert len(live) >= len(newest)
    assert all(one.modified <= NOW - choice.older_than for one in found) or not choice.older_than
    assert not {one.guard for one in found if one.kind in (Kind.PARTIAL, Kind.LOCK)} & held
    if contents.problem:
        assert [one for one in found if one.folder == FOLDER] == []
    if held:
        assert not going | blobs
        assert Kind.FOLDER not in {one.kind for one in found}
    if Kind.FOLDER in {one.kind for one in found}:
        assert going == {one.commit for one in contents.revisions}
        assert blobs == {blob.name for blob in contents.blobs}


@given(models(), PAYLOADS, CHOICES)
def test_every_byte_is_counted_once_and_never_one_that_stays(
    contents: ModelContents, payloads: list[Payload], choice: PruneChoice
) -> None:
    found = plan_of(CacheContents((contents,), tuple(payloads)), choice, NOW).leftovers
    names = [blob for one in found for blob in (one.blobs or ([one.name] if one.kind is Kind.BLOB else []))]
    assert len(names) == len(set(names))
    sizes = {blob.name: blob.size for blob in contents.blobs}
    links = {blob.payload for blob in contents.blobs if blob.name in names}
    expected = sum(sizes[name] for name in names)
    expected += sum(
        payload.size
        for payload in payloads
        if payload.users and payload.name in links and payload.users <= {f"{FOLDER}/{name}" for name in names}
    )
    going = {one.name for one in found if one.kind is Kind.REVISION}
    expected += sum(one.size for one in contents.revisions if one.commit in going)
    expected += sum(one.size for one in found if one.kind in (Kind.PARTIAL, Kind.PAYLOAD))
    assert sum(one.size for one in found) == expected


@given(models())
def test_a_larger_choice_of_what_stays_never_takes_more(contents: ModelContents) -> None:
    def names(choice: PruneChoice) -> set[tuple[Kind, str]]:
        found = plan_of(CacheContents((contents,)), choice, NOW).leftovers
        return {(one.kind, one.name) for one in found if one.kind is not Kind.LOCK}

    everything = names(PruneChoice()) | {(Kind.BLOB, blob.name) for blob in contents.blobs}
    for choice in (PruneChoice(30 * DAY), PruneChoice(keep_last=1), PruneChoice(30 * DAY, 2)):
        assert names(choice) <= everything


def test_the_use_case_plans_by_its_clock_and_sweeps_what_was_planned() -> None:
    file = StoredFile(b"old", lfs=True)
    stored = StoredModel(FOLDER, {OLD: StoredRevision({"w.safetensors": file}, ago(40))}, {}, modified=ago(40))
    cache = MemoryCache([replace(stored, revisions={**stored.revisions, NEW: StoredRevision({}, NOW - 1)})])
    prune = PruneCache(MemorySweeper(cache), MemoryClock(NOW))
    found = prune.plan(PruneChoice(older_than=30 * DAY))
    assert found.leftovers == (Leftover(Kind.REVISION, FOLDER, OLD, 3, ago(40), (file.etag,)),)
    assert prune.execute(found).freed == 3
    assert [entry.commit for entry in cache.repo(FOLDER).snapshots] == [NEW]
