"""`prune` on a real file system: what is found there, what goes, and what others do to it meanwhile."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.sweeper import HfSweeper
from mlxk2.adapters.memory import StoredModel
from mlxk2.adapters.memory.source import source_file
from mlxk2.domain.pruning import PrunePlan
from mlxk2.ports.cache import COMMIT_LOCK, Removal
from mlxk2.ports.pruning import CacheContents, Kind, Leftover, Outcome, Swept
from mlxk2.testing import healthy_model, write_cache
from mlxk2.testing.contracts.pruning import (
    CONFIG,
    ETAG,
    FIRST,
    FOLDER,
    LOOSE,
    NEW,
    OLD,
    OTHER,
    SECOND,
    shared_by,
    two_revisions,
    with_loose_blob,
)
from tests.adapters.pruning import NOW, contents_of, files, kinds, plan, pruned, sweep

XET = "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


class TestWhatIsFound:
    def test_a_cache_that_is_not_there_holds_nothing_and_is_not_made(self, root: Path) -> None:
        assert HfSweeper(str(root)).contents() == CacheContents()
        assert sweep(root, plan(root)) == Swept((), 0)
        assert not root.exists()

    def test_locks_of_models_that_are_gone_are_leftovers_but_not_a_dataset_s(self, root: Path) -> None:
        for folder in (FOLDER, "datasets--org--data"):
            (root / ".locks" / folder).mkdir(parents=True)
            (root / ".locks" / folder / f"{ETAG}.lock").touch()
        found = plan(root)
        assert [(one.kind, one.folder, one.name) for one in found.leftovers] == [(Kind.LOCK, FOLDER, f"{ETAG}.lock")]
        pruned(root)
        assert files(root / ".locks") == {f"datasets--org--data/{ETAG}.lock", ".mlxk2-trash.lock"}
        assert (root / ".locks" / FOLDER).is_dir()  # a download that has just made it will open a file in it

    def test_a_killed_pull_s_workshop_is_a_partial_file_of_its_commit(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        workshop = root / ".locks" / FOLDER / f"{SECOND}.tmp"
        workshop.mkdir(parents=True)
        (workshop / "made").write_bytes(b"123")
        (piece,) = contents_of(root).partials
        assert (piece.name, piece.guard, piece.size) == (f"{SECOND}.tmp", f"{SECOND}{COMMIT_LOCK}", 3)
        pruned(root)
        assert not workshop.exists()

    def test_a_link_into_the_shared_store_that_has_no_name_yet_is_a_partial_file(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        link = root / FOLDER / "blobs" / f".{ETAG}.0123abcd.shared"
        link.symlink_to(f"../../blobs/00/{XET}")
        assert [(one.name, one.guard) for one in contents_of(root).partials] == [(link.name, ETAG)]
        pruned(root)
        assert not link.is_symlink()

    @pytest.mark.parametrize("place", ["", "blobs", "snapshots", "refs", "trees", ".no_exist", "locks"])
    def test_nothing_is_followed_out_of_a_model_s_folder(self, root: Path, tmp_path: Path, place: str) -> None:
        write_cache(root, [with_loose_blob()])
        path = root / ".locks" / FOLDER if place == "locks" else root / FOLDER / place
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / LOOSE).write_bytes(b"not of this cache")
        if path.exists():
            path.rename(tmp_path / "away")
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(elsewhere)
        found = plan(root)
        assert [one for one in found.leftovers if one.folder == FOLDER] == []
        assert [(kept.folder, "is a link to another place" in kept.reason) for kept in found.kept] == [(FOLDER, True)]
        swept = sweep(root, PrunePlan((Leftover(Kind.BLOB, FOLDER, LOOSE, 5, 0.0),), ()))
        assert swept.outcomes[0].refused
        assert (elsewhere / LOOSE).read_bytes() == b"not of this cache"

    @pytest.mark.parametrize(
        "goal",
        ["../../blobs/" + "9" * 64, "model.safetensors", "../../../outside", "/etc/passwd", "../../blobs", "."],
    )
    def test_a_model_with_a_link_that_cannot_be_told_keeps_everything(self, root: Path, goal: str) -> None:
        write_cache(root, [with_loose_blob()])
        link = root / FOLDER / "snapshots" / FIRST / "model.safetensors"
        link.unlink()
        link.symlink_to(goal)
        found = plan(root)
        assert found.leftovers == ()
        assert [kept.folder for kept in found.kept] == [FOLDER]

    @pytest.mark.parametrize("form", ["relative", "absolute", "by another way"])
    @pytest.mark.parametrize("user", [OTHER, "datasets--org--data"])
    def test_a_model_into_which_another_folder_s_links_lead_keeps_everything(
        self, root: Path, user: str, form: str
    ) -> None:
        write_cache(root, [two_revisions()])
        root.with_name("way").symlink_to(root)
        blob = f"{FOLDER}/blobs/{OLD.etag}"
        link = root / user / "snapshots" / FIRST / "model.safetensors"
        link.parent.mkdir(parents=True)
        goals: dict[str, str | Path] = {
            "relative": f"../../../{blob}",
            "absolute": root / blob,
            "by another way": root.with_name("way") / blob,
        }
        link.symlink_to(goals[form])
        found = plan(root)
        assert found.leftovers == ()
        assert {one.folder: one.reason for one in found.kept}[FOLDER] == f"{user} has links to its files"
        assert link.read_bytes() == OLD.content

    def test_a_link_beside_the_snapshots_is_a_ref_to_one(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        (root / FOLDER / "snapshots" / "latest").symlink_to(FIRST)
        assert contents_of(root).refs == {FIRST, SECOND}
        assert plan(root).leftovers == ()
        (root / FOLDER / "snapshots" / "loop").symlink_to("loop")
        assert contents_of(root).problem == "snapshots/loop is a link to another place"

    def test_a_ref_with_a_line_end_is_a_ref(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        (root / FOLDER / "refs" / "nested").mkdir()
        (root / FOLDER / "refs" / "nested" / "v1").write_text(f"{FIRST}\n")
        assert contents_of(root).refs == {FIRST, SECOND}

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"main", FIRST[:7].encode()])
    def test_a_model_with_a_ref_that_names_no_commit_keeps_everything(self, root: Path, content: bytes) -> None:
        """Which revision it was meant to keep, nobody can tell: a full disk leaves such a file."""
        write_cache(root, [with_loose_blob()])
        (root / FOLDER / "refs" / "main").write_bytes(content)
        found = plan(root)
        assert found.leftovers == ()
        assert [kept.reason for kept in found.kept] == ["refs/main names no revision"]

    def test_a_ref_that_has_not_got_its_name_counts_only_when_it_names_a_revision(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        for name, content in (("main.0123abcd.tmp", ""), ("v1.0123abcd.tmp", FIRST), (".DS_Store", "x")):
            (root / FOLDER / "refs" / name).write_text(content)
        assert contents_of(root).refs == {FIRST, SECOND}

    def test_a_newer_file_in_a_sub_folder_makes_the_revision_younger(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        folder = root / FOLDER / "snapshots" / FIRST / "sub"
        folder.mkdir()
        os.utime(folder, (NOW, NOW))
        assert {one.commit: one.modified for one in contents_of(root).revisions}[FIRST] == NOW

    def test_a_listing_that_has_just_come_makes_the_revision_younger(self, root: Path) -> None:
        """A download by commit writes it, then asks the Hub for a file, and so far holds no lock."""
        write_cache(root, [two_revisions()])
        trees = root / FOLDER / "trees"
        trees.mkdir()
        (trees / f"{FIRST}.json").touch()
        os.utime(trees / f"{FIRST}.json", (NOW - 60, NOW - 60))
        found = plan(root)
        assert Kind.REVISION not in kinds(found)
        assert "10 minutes" in found.kept[0].reason

    def test_names_that_are_no_text_are_passed_on(self, root: Path) -> None:
        write_cache(root, [two_revisions()])
        bad = os.fsencode(root / FOLDER / "blobs") + b"/\xff\xfe"
        with open(bad, "wb") as file:
            file.write(b"?")
        os.mkdir(os.fsencode(root) + b"/models--org--\xff")
        found = plan(root)
        assert contents_of(root).other
        assert {Kind.REVISION, Kind.FOLDER} == kinds(found)
        sweep(root, found)
        assert os.path.exists(bad)

    def test_what_a_finder_leaves_keeps_no_folder(self, root: Path) -> None:
        write_cache(root, [StoredModel(FOLDER, {}, {"main": FIRST})])
        for place in ("", "blobs", "snapshots"):
            (root / FOLDER / place).mkdir(exist_ok=True)
            (root / FOLDER / place / ".DS_Store").write_bytes(b"x")
        pruned(root)
        assert not (root / FOLDER).exists()


class TestWhatGoes:
    def test_everything_that_is_left_over_goes_and_nothing_else(self, root: Path) -> None:
        empty = StoredModel("models--org--empty", {}, {"main": FIRST}, extra={f"trees/{FIRST}.json": b"{}"})
        stored = replace(with_loose_blob(), partials=((ETAG, 7),), stale_locks=frozenset({ETAG, NEW.etag}))
        whole = healthy_model("org/whole")
        write_cache(root, [stored, empty, whole])
        found = plan(root)
        swept = sweep(root, found)
        assert all(one.kept is None for one in swept.outcomes)
        assert len(swept.outcomes) == len(found.leftovers)
        assert swept.freed == found.frees == 27 + 5 + 7 + 42
        assert files(root / FOLDER) == {
            "refs/main",
            f"snapshots/{SECOND}/config.json",
            f"snapshots/{SECOND}/model.safetensors",
            f"blobs/{CONFIG.etag}",
            f"blobs/{NEW.etag}",
        }
        assert HfCache(str(root)).folders() == sorted([FOLDER, whole.folder])
        assert files(root / ".locks") == {".mlxk2-trash.lock"}
        assert plan(root).leftovers == ()

    def test_a_model_whose_revisions_all_go_goes_with_its_folder(self, root: Path) -> None:
        write_cache(root, [replace(two_revisions(), refs={})])
        pruned(root)
        assert HfCache(str(root)).folders() == []

    def test_the_revision_s_listing_and_absent_files_go_with_it(self, root: Path, tmp_path: Path) -> None:
        extra = {f"trees/{FIRST}.json": b"{}", f".no_exist/{FIRST}/a": b"", f"trees/{SECOND}.json": b"{}"}
        write_cache(root, [replace(two_revisions(), extra=extra)])
        state = tmp_path / "state"
        (root / FOLDER / "trees" / f"{FIRST}.json").write_bytes(b"damaged")
        Listings(str(root), str(state)).record(FOLDER, FIRST, [source_file("a", b"a")])
        assert files(state)
        sweep(root, plan(root, state), state)
        assert files(root / FOLDER / "trees") == {f"{SECOND}.json"}
        assert files(root / FOLDER / ".no_exist") == set()
        assert files(state) == set()

    def test_our_records_of_revisions_that_others_have_deleted_go(self, root: Path, tmp_path: Path) -> None:
        write_cache(root, [two_revisions()])
        state = tmp_path / "state"
        for commit in (FIRST, SECOND):
            Listings(str(root), str(state)).record(FOLDER, commit, [source_file("a", b"a")])
        for path in sorted((root / FOLDER / "snapshots" / FIRST).iterdir()):
            path.unlink()
        (root / FOLDER / "snapshots" / FIRST).rmdir()
        found = plan(root, state)
        assert [one.name for one in found.leftovers if one.kind is Kind.RECORD] == [FIRST]
        swept = sweep(root, found, state)
        assert swept.freed == found.frees
        assert [path.name for path in state.rglob("*.json")] == [f"{SECOND}.json"]

    def test_trash_of_a_killed_deletion_goes_with_the_payloads_that_only_it_uses(self, root: Path) -> None:
        write_cache(root, shared_by(FOLDER))
        (payload,) = HfSweeper(str(root)).contents().payloads
        trash = root / ".locks" / ".mlxk2-trash" / "0123"
        trash.mkdir(parents=True)
        (root / FOLDER).rename(trash / FOLDER)
        found = plan(root)
        assert kinds(found) == {Kind.TRASH, Kind.PAYLOAD}
        assert sweep(root, found).freed == payload.size == 7
        assert files(root) == {"blobs/.huggingface-shared-blobs", ".locks/.mlxk2-trash.lock"}

    def test_a_kill_while_it_works_leaves_a_cache_that_is_right_and_trash(self, root: Path) -> None:
        write_cache(root, [replace(with_loose_blob(), refs={"main": SECOND})])
        code = (
            "import os, sys\n"
            "from mlxk2.adapters.hfcache import sweeping\n"
            "from mlxk2.adapters.hfcache.sweeper import HfSweeper\n"
            "from mlxk2.domain.pruning import PruneChoice, plan_of\n"
            "sweeping.empty = lambda *_: os.kill(os.getpid(), 9)\n"
            "sweeper = HfSweeper(sys.argv[1])\n"
            "sweeper.sweep(plan_of(sweeper.contents(), PruneChoice(), 2e9).leftovers)"
        )
        result = subprocess.run([sys.executable, "-c", code, str(root)], check=False)
        assert result.returncode == -signal.SIGKILL
        model = contents_of(root)
        assert ([one.commit for one in model.revisions], model.problem) == ([SECOND], None)
        assert kinds(plan(root)) == {Kind.TRASH}
        pruned(root)
        assert not (root / ".locks" / ".mlxk2-trash").exists()

    def test_on_a_disk_without_room_for_the_trash_everything_goes_from_where_it_stands(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored = replace(with_loose_blob(), partials=((ETAG, 7),), stale_locks=frozenset({ETAG, NEW.etag}))
        write_cache(root, [stored, *shared_by(OTHER)])
        make = os.makedirs

        def no_room(path: str, *args: object, **named: object) -> None:
            if ".mlxk2-trash/" in path:
                raise OSError(errno.ENOSPC, "No space left on device")
            make(path, *args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "makedirs", no_room)
        found = plan(root)
        swept = sweep(root, found)
        assert [one.kept for one in swept.outcomes] == [None] * len(found.leftovers)
        assert swept.freed == found.frees
        assert [model.folder for model in HfSweeper(str(root)).contents().models if model.there] == [FOLDER]
        assert files(root / "blobs") == {".huggingface-shared-blobs"}
        assert ([one.commit for one in contents_of(root).revisions], plan(root).leftovers) == ([SECOND], ())

    def test_with_an_age_younger_trash_and_partial_files_stay(self, root: Path) -> None:
        write_cache(root, [replace(with_loose_blob(), partials=((ETAG, 7),), modified=NOW - 100)])
        (root / ".locks" / ".mlxk2-trash" / "young").mkdir(parents=True)
        os.utime(root / ".locks" / ".mlxk2-trash" / "young", (NOW, NOW))
        found = plan(root, older_than=200)
        assert kinds(found) == {Kind.REVISION}
        sweep(root, found)
        assert (root / ".locks" / ".mlxk2-trash" / "young").is_dir()
        assert len(list((root / FOLDER / "blobs").glob("*.incomplete"))) == 1

    def test_bytes_that_have_a_name_elsewhere_are_not_freed(self, root: Path, tmp_path: Path) -> None:
        write_cache(root, [with_loose_blob()])
        for number, blob in enumerate((OLD.etag, LOOSE)):
            os.link(root / FOLDER / "blobs" / blob, tmp_path / str(number))
        found = plan(root)
        assert (kinds(found), found.frees) == ({Kind.REVISION, Kind.BLOB}, 0)
        assert sweep(root, found).freed == 0
        assert (tmp_path / "0").read_bytes() == OLD.content


class TestSharedStore:
    def test_a_payload_without_users_goes_under_its_lock_and_one_without_a_manifest_stays(self, root: Path) -> None:
        write_cache(root, shared_by(OTHER))
        place = root / "blobs" / "00"
        place.mkdir()
        for name, manifest in ((XET, b"models--gone--x/blobs/y\n"), ("00" + "1" * 62, None)):
            (place / name).write_bytes(b"payload")
            if manifest:
                (place / f"{name}.refs").write_bytes(manifest)
        found = plan(root, keep_last=1)
        assert [(one.kind, one.name, one.size) for one in found.leftovers] == [(Kind.PAYLOAD, XET, 7)]
        assert sweep(root, found).freed == 7
        assert files(place) == {"00" + "1" * 62}
        assert contents_of(root).problem is None

    @pytest.mark.parametrize("manifest", [b"", b"models--org--model/blo", b"models--gone--x/blobs/y\n", b"\0\n"])
    @pytest.mark.parametrize("command", ["prune", "rm"])
    def test_a_payload_stays_with_its_user_whom_the_manifest_does_not_name(
        self, root: Path, manifest: bytes, command: str
    ) -> None:
        live, other = shared_by(OTHER, FOLDER)
        commit = next(iter(live.revisions))
        write_cache(root, [replace(live, refs={"main": commit}), other])
        (payload,) = HfSweeper(str(root)).contents().payloads
        (root / "blobs" / payload.name[:2] / f"{payload.name}.refs").write_bytes(manifest)
        if command == "prune":
            assert pruned(root).freed == 0
        else:
            removal = Removal(FOLDER, (), (), (), 0)
            assert HfCache(str(root)).freed_bytes(removal) < len(b"payload")
            HfCache(str(root)).remove(removal)
        assert not (root / FOLDER / "snapshots").exists()
        assert (root / OTHER / "snapshots" / commit / "model.safetensors").read_bytes() == b"payload"

    def test_a_data_set_and_a_link_of_another_form_use_a_payload(self, root: Path) -> None:
        write_cache(root, shared_by(FOLDER))
        (payload,) = HfSweeper(str(root)).contents().payloads
        place = root / "blobs" / payload.name[:2] / payload.name
        link = root / "datasets--org--data" / "blobs" / ETAG
        link.parent.mkdir(parents=True)
        link.symlink_to(place)
        pruned(root)
        assert (link.read_bytes(), (root / FOLDER).exists()) == (b"payload", False)

    def test_odd_folders_beside_hide_no_payload_that_nobody_uses(self, root: Path) -> None:
        write_cache(root, shared_by(FOLDER))
        (root / "loop").symlink_to("loop")
        (root / "gone").symlink_to("nowhere")
        (root / "file").touch()
        pruned(root)
        assert HfSweeper(str(root)).contents().payloads == ()

    def test_a_payload_that_a_model_has_taken_meanwhile_stays(self, root: Path) -> None:
        write_cache(root, shared_by(OTHER))
        (payload,) = HfSweeper(str(root)).contents().payloads
        stale = Leftover(Kind.PAYLOAD, None, payload.name, 7, 0.0)
        swept = sweep(root, PrunePlan((stale,), ()))
        assert (swept.outcomes, swept.freed) == ((Outcome(stale, "a model uses it by now"),), 0)
        assert contents_of(root).problem is None

    def test_a_model_that_shares_a_payload_takes_its_link_and_not_the_payload(self, root: Path) -> None:
        live, old = shared_by(OTHER, FOLDER)
        write_cache(root, [replace(live, refs={"main": next(iter(live.revisions))}), old])
        found = plan(root)
        assert found.frees == 0
        sweep(root, found)
        (model,) = (one for one in HfSweeper(str(root)).contents().models if one.there)
        assert (model.folder, model.problem) == (OTHER, None)
        snapshot = root / OTHER / "snapshots" / next(iter(live.revisions))
        assert (snapshot / "model.safetensors").read_bytes() == b"payload"

    def test_locks_of_payloads_that_are_gone_go_and_those_of_others_stay(self, root: Path) -> None:
        write_cache(root, [replace(shared_by(OTHER)[0], refs={"main": next(iter(shared_by(OTHER)[0].revisions))})])
        (payload,) = HfSweeper(str(root)).contents().payloads
        here = root / "blobs" / payload.name[:2] / f"{payload.name}.lock"
        here.touch()
        gone = root / "blobs" / "00" / f"{XET}.lock"
        gone.parent.mkdir()
        gone.touch()
        found = plan(root)
        assert [(one.kind, one.name) for one in found.leftovers] == [(Kind.LOCK, f"{XET}.lock")]
        with hold(gone):
            assert sweep(root, found).outcomes[0].kept
            assert plan(root).leftovers == ()
        assert sweep(root, found).outcomes[0].kept is None
        assert (here.exists(), gone.exists()) == (True, False)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
