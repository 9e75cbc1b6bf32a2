"""What happens to `prune` between its plan and its sweep, or during it, when others work on the same cache."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import sweeping_model, trash
from mlxk2.adapters.hfcache.locks import held_locks, lock_if_free
from mlxk2.adapters.memory import StoredModel
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.pruning import Kind, Outcome
from mlxk2.testing import hold_lock, write_cache
from mlxk2.testing.contracts.pruning import (
    ETAG,
    FIRST,
    FOLDER,
    LOOSE,
    OLD,
    SECOND,
    two_revisions,
    with_loose_blob,
)
from tests.adapters.pruning import NOW, contents_of, files, kinds, plan, pruned, sweep


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def only(outcomes: tuple[Outcome, ...], kind: Kind) -> Outcome:
    (found,) = (one for one in outcomes if one.leftover.kind is kind)
    return found


@contextmanager
def process_with_lock(path: Path) -> Iterator[None]:
    """Another process that holds a lock as huggingface_hub does, by filelock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = (
        "import sys\nfrom huggingface_hub.utils import WeakFileLock\n"
        "with WeakFileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield
        process.communicate()


class TestMeanwhile:
    @pytest.mark.parametrize("guard", [LOOSE, OLD.etag, f"{FIRST}{COMMIT_LOCK}", f"{SECOND}{COMMIT_LOCK}"])
    def test_a_download_that_has_begun_in_another_process_keeps_what_it_may_use(self, root: Path, guard: str) -> None:
        write_cache(root, [with_loose_blob()])
        found = plan(root)
        assert kinds(found) == {Kind.REVISION, Kind.BLOB}
        before = files(root / FOLDER)
        with process_with_lock(root / ".locks" / FOLDER / f"{guard}.lock"):
            swept = sweep(root, found)
            assert only(swept.outcomes, Kind.REVISION).kept == "a download has begun to use it"
            blob = only(swept.outcomes, Kind.BLOB)
            assert blob.kept is None if guard == OLD.etag else blob.kept == "a download has begun to use it"
            assert not any(one.refused for one in swept.outcomes)
            gone = {f"blobs/{LOOSE}"} if guard == OLD.etag else set()
            assert files(root / FOLDER) == before - gone
        assert pruned(root).freed > 0

    def test_a_partial_file_whose_lock_another_process_has_taken_stays(self, root: Path) -> None:
        write_cache(root, [replace(two_revisions(), partials=((ETAG, 7), ("e" * 64, 7)))])
        found = plan(root)
        with process_with_lock(root / ".locks" / FOLDER / f"{ETAG}.lock"):
            kept = {one.leftover.guard: one.kept for one in sweep(root, found).outcomes if one.leftover.guard}
            assert kept == {ETAG: "a download has begun to use it", "e" * 64: None}
            assert [piece.guard for piece in contents_of(root).partials] == [ETAG]

    def test_a_partial_file_that_has_grown_and_a_revision_that_has_changed_stay(self, root: Path) -> None:
        write_cache(root, [replace(two_revisions(), partials=((ETAG, 7),))])
        found = plan(root)
        (piece,) = (root / FOLDER / "blobs").glob("*.incomplete")
        os.utime(piece, (NOW, NOW))
        os.utime(root / FOLDER / "snapshots" / FIRST, (NOW, NOW))
        assert {one.kept for one in sweep(root, found).outcomes} == {"it has changed meanwhile"}

    def test_a_lock_file_that_somebody_has_opened_since_stays(self, root: Path) -> None:
        """Older releases of filelock truncate it, and do not notice when it goes before they have locked it."""
        write_cache(root, [replace(two_revisions(), refs={"main": FIRST, "v": SECOND}, stale_locks=frozenset({ETAG}))])
        lock = root / ".locks" / FOLDER / f"{ETAG}.lock"
        os.utime(lock, (NOW - 10, NOW - 10))
        found = plan(root)
        lock.write_bytes(b"")
        assert [one.kept for one in sweep(root, found).outcomes] == ["a download has begun to use it"]
        assert lock.exists()

    def test_a_revision_that_a_ref_names_by_now_is_put_back(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        found = plan(root)
        (root / FOLDER / "refs" / "v1").write_text(FIRST)
        before = files(root / FOLDER)
        assert only(sweep(root, found).outcomes, Kind.REVISION).kept == "a ref names it by now"
        assert files(root / FOLDER) == before

    def test_a_blob_that_a_snapshot_uses_by_now_stays(self, root: Path) -> None:
        write_cache(root, [with_loose_blob()])
        found = plan(root)
        (root / FOLDER / "snapshots" / SECOND / "extra.bin").symlink_to(f"../../blobs/{LOOSE}")
        (root / FOLDER / "snapshots" / SECOND / "old.bin").symlink_to(f"../../blobs/{OLD.etag}")
        swept = sweep(root, found)
        assert only(swept.outcomes, Kind.BLOB).kept == "a snapshot uses it by now"
        assert contents_of(root).problem is None
        assert [one.commit for one in contents_of(root).revisions] == [SECOND]

    def test_a_link_that_a_waiting_download_makes_afterwards_gets_its_blob_back(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """huggingface_hub sees the blob, waits for its lock, and makes the link without looking again."""
        write_cache(root, [with_loose_blob()])
        link = root / FOLDER / "snapshots" / SECOND / "extra.bin"
        release = sweeping_model._Steps._delete_lock

        def and_then_links(steps: object, guard: str) -> None:
            release(steps, guard)  # type: ignore[arg-type]
            if guard == LOOSE:
                link.symlink_to(f"../../blobs/{LOOSE}")

        monkeypatch.setattr(sweeping_model._Steps, "_delete_lock", and_then_links)
        swept = pruned(root)
        assert only(swept.outcomes, Kind.BLOB).kept == "a snapshot uses it by now"
        assert link.read_bytes() == b"loose"

    def test_whoever_is_interrupted_puts_back_what_others_may_still_link_to(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_cache(root, [with_loose_blob()])
        release = sweeping_model._Steps._delete_lock

        def and_then_stops(steps: object, guard: str) -> None:
            release(steps, guard)  # type: ignore[arg-type]
            if guard == LOOSE:
                raise KeyboardInterrupt

        monkeypatch.setattr(sweeping_model._Steps, "_delete_lock", and_then_stops)
        with pytest.raises(KeyboardInterrupt):
            pruned(root)
        assert (root / FOLDER / "blobs" / LOOSE).read_bytes() == b"loose"
        monkeypatch.undo()
        assert plan(root).leftovers[0].kind is Kind.BLOB
        pruned(root)
        assert not (root / FOLDER / "blobs" / LOOSE).exists()

    def test_refs_that_cannot_be_read_by_now_keep_a_revision(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        found = plan(root)
        (root / FOLDER / "refs" / "odd").symlink_to("main")
        before = files(root / FOLDER)
        assert only(sweep(root, found).outcomes, Kind.REVISION).refused
        assert files(root / FOLDER) == before

    def test_links_that_cannot_be_read_any_more_bring_every_blob_back(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_cache(root, [with_loose_blob()])
        found = plan(root)
        odd = root / FOLDER / "snapshots" / SECOND / "odd"
        discard = trash.discard

        def and_then_links(path: str, folder: str) -> list[tuple[str, str]]:
            if path.endswith(LOOSE):
                odd.symlink_to("/etc/passwd")
            return discard(path, folder)

        monkeypatch.setattr(sweeping_model, "discard", and_then_links)
        swept = sweep(root, found)
        assert only(swept.outcomes, Kind.BLOB).kept == "a snapshot uses it by now"
        assert (root / FOLDER / "blobs" / LOOSE).read_bytes() == b"loose"
        assert (root / FOLDER / "blobs" / OLD.etag).exists()

    def test_a_folder_that_is_not_empty_any_more_stays(self, root: Path) -> None:
        write_cache(root, [StoredModel(FOLDER, {}, {"main": FIRST})])
        found = plan(root)
        (root / FOLDER / "blobs" / f"{ETAG}.0000abcd.incomplete").write_bytes(b"x")
        assert only(sweep(root, found).outcomes, Kind.FOLDER).kept == "it has changed meanwhile"
        with process_with_lock(root / ".locks" / FOLDER / f"{ETAG}.lock"):
            assert only(sweep(root, found).outcomes, Kind.FOLDER).kept == "a download has begun to use it"
        assert (root / FOLDER).is_dir()

    def test_a_model_that_cannot_be_read_by_now_keeps_its_blobs(self, root: Path) -> None:
        write_cache(root, [with_loose_blob()])
        found = plan(root)
        (root / FOLDER / "snapshots" / SECOND / "away").symlink_to("/etc/passwd")
        swept = sweep(root, found)
        assert only(swept.outcomes, Kind.BLOB).refused
        assert (root / FOLDER / "blobs" / LOOSE).exists()

    def test_what_others_have_deleted_meanwhile_is_gone(self, root: Path) -> None:
        write_cache(root, [replace(with_loose_blob(), partials=((ETAG, 7),), stale_locks=frozenset({"a" * 40}))])
        found = plan(root)
        assert len(found.leftovers) == 4
        pruned(root)
        assert [one.kept for one in sweep(root, found).outcomes] == [None] * 4

    def test_two_prunes_at_once_are_one(self, root: Path) -> None:
        many = {f"blobs/{number:064x}": b"x" for number in range(200)}
        write_cache(root, [replace(two_revisions(), extra=many)])
        code = (
            "import sys\nfrom mlxk2.adapters.hfcache.sweeper import HfSweeper\n"
            "from mlxk2.domain.pruning import PruneChoice, plan_of\n"
            "sweeper = HfSweeper(sys.argv[1])\n"
            "found = plan_of(sweeper.contents(), PruneChoice(), 2e9).leftovers\n"
            "print('ready', flush=True)\nsys.stdin.readline()\n"
            "print([one for one in sweeper.sweep(found).outcomes if one.kept])"
        )
        command = [sys.executable, "-c", code, str(root)]
        both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in both:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in both:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate()[0] for process in both] == ["[]\n", "[]\n"]
        assert plan(root).leftovers == ()


class TestLockIfFree:
    def test_a_lock_file_that_was_made_for_it_goes_again(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "x.lock"
        with lock_if_free(str(path)) as is_free:
            assert is_free
            assert path.exists()
        assert not path.exists()

    def test_one_that_was_there_stays_and_none_is_made_unasked(self, tmp_path: Path) -> None:
        path = tmp_path / "x.lock"
        with lock_if_free(str(path), create=False) as is_free:
            assert not is_free
        assert not path.exists()
        path.touch()
        with lock_if_free(str(path)) as is_free:
            assert is_free
        assert path.exists()

    def test_while_it_is_held_nobody_else_gets_it(self, root: Path) -> None:
        model = two_revisions()
        path = root / ".locks" / FOLDER / f"{ETAG}.lock"
        with lock_if_free(str(path)):
            assert held_locks(str(root), FOLDER) == {ETAG}
            with lock_if_free(str(path)) as is_free:
                assert not is_free
        with hold_lock(root, model, ETAG), lock_if_free(str(path)) as is_free:
            assert not is_free

    def test_whoever_waits_with_filelock_for_a_file_that_goes_gets_the_next_one(self, tmp_path: Path) -> None:
        path = tmp_path / "x.lock"
        path.touch()
        with lock_if_free(str(path)) as is_free:
            assert is_free
            code = (
                "import sys\nfrom huggingface_hub.utils import WeakFileLock\nprint('waits', flush=True)\n"
                "with WeakFileLock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
            )
            waiter = subprocess.Popen(
                [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert waiter.stdout
            assert waiter.stdout.readline() == "waits\n"
            path.unlink()
        assert waiter.stdout.readline() == "held\n"
        with lock_if_free(str(path)) as is_free:
            assert not is_free
        waiter.communicate()
