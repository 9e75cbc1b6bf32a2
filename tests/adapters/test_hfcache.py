"""The real cache where a contract cannot reach: locks, links, damage, kills, and huggingface_hub as the judge."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.cache import LinkState, Removal
from mlxk2.ports.errors import AccessProblem, DiskFull, DownloadFailed, ValidationError
from mlxk2.ports.transfer import Event, Waiting, unwatched
from mlxk2.testing import healthy_model, hold_lock, safetensors, with_files, write_cache
from mlxk2.testing.contracts.cache import FIRST, FOLDER, SECOND, WHOLE, delivery, two_revisions
from mlxk2.testing.contracts.reading import READ_ALL, ends_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def test_a_cache_that_does_not_exist_is_empty_and_stays_absent(root: Path) -> None:
    assert HfCache(str(root)).folders() == []
    assert not root.exists()


def test_only_model_folders_are_models(root: Path) -> None:
    write_cache(root, [two_revisions()])
    for name in ("datasets--org--d", "spaces--org--s", ".locks", "blobs", "notes"):
        (root / name).mkdir(exist_ok=True)
    (root / "models--org--file").write_text("not a folder")
    assert HfCache(str(root)).folders() == [FOLDER]


def test_a_held_lock_is_seen_while_it_is_held_and_not_afterwards(root: Path) -> None:
    write_cache(root, [two_revisions()])
    cache = HfCache(str(root))
    with hold_lock(root, two_revisions(), "a" * 64):
        assert cache.repo(FOLDER).held_locks == {"a" * 64}
    assert cache.repo(FOLDER).held_locks == frozenset()


def test_the_locks_of_a_longer_name_are_not_mine(root: Path) -> None:
    large = StoredModel(f"{FOLDER}-LARGE", {}, {})
    write_cache(root, [two_revisions(), large])
    with hold_lock(root, large, "a" * 64):
        assert HfCache(str(root)).repo(FOLDER).held_locks == frozenset()


def test_a_plain_file_where_a_lock_is_expected_and_a_planted_link_are_not_held(root: Path) -> None:
    write_cache(root, [two_revisions()])
    locks = root / ".locks" / FOLDER
    locks.mkdir(parents=True)
    (locks / "planted.lock").symlink_to("/etc/hostname")
    (locks / "notes.txt").write_text("")
    assert HfCache(str(root)).repo(FOLDER).held_locks == frozenset()


def test_a_ref_with_a_line_end_still_names_its_snapshot(root: Path) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "refs" / "main").write_text(f"{FIRST}\n")
    (root / FOLDER / "refs" / "pr").mkdir()
    (root / FOLDER / "refs" / "pr" / "1").write_text(FIRST)
    assert HfCache(str(root)).repo(FOLDER).refs == {"main": FIRST, "v1": FIRST, "pr/1": FIRST}


def test_snapshots_that_are_no_commit_folders_are_not_listed(root: Path) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "snapshots" / ".DS_Store").write_text("")
    (root / FOLDER / "snapshots" / "main").mkdir()
    (root / FOLDER / "snapshots" / ("c" * 40)).symlink_to(root)
    assert len(HfCache(str(root)).repo(FOLDER).snapshots) == 2


@pytest.mark.parametrize(
    ("target", "state"),
    [
        ("config.json", LinkState.FILE),
        ("{blob}", LinkState.FILE),
        ("/etc/hostname", LinkState.OUTSIDE),
        ("../../../../escape.json", LinkState.OUTSIDE),
        ("nowhere.json", LinkState.DANGLING),
        ("loop.json", LinkState.DANGLING),
        (".", LinkState.NOT_A_FILE),
    ],
)
def test_links_of_other_forms_are_followed_inside_the_model_only(root: Path, target: str, state: LinkState) -> None:
    write_cache(root, [two_revisions()])
    blob = two_revisions().revisions[FIRST].files["config.json"].etag
    link = root / FOLDER / "snapshots" / FIRST / "loop.json"
    link.symlink_to(target.format(blob=f"{root}/{FOLDER}/blobs/{blob}"))
    cache = HfCache(str(root))
    file = next(f for f in cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).files if f.path == "loop.json")
    assert file.state is state
    assert ends_of(file)[0] == (b"{}" if state is LinkState.FILE else b"")


def test_a_loop_of_folders_does_not_trap_the_reader(root: Path) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "snapshots" / FIRST / "loop").symlink_to("..")
    cache = HfCache(str(root))
    states = {f.path: f.state for f in cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).files}
    assert states["loop"] is LinkState.NOT_A_FILE
    assert len(states) == 3


def test_a_pipe_in_place_of_a_file_is_not_opened(root: Path) -> None:
    write_cache(root, [two_revisions()])
    os.mkfifo(root / FOLDER / "snapshots" / FIRST / "pipe.json")
    cache = HfCache(str(root))
    states = {f.path: f.state for f in cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).files}
    assert states["pipe.json"] is LinkState.NOT_A_FILE


def test_a_store_without_its_marker_is_not_the_shared_store(root: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    write_cache(root, [with_files(two_revisions(), {"model.safetensors": stored})])
    (root / "blobs" / ".huggingface-shared-blobs").unlink()
    cache = HfCache(str(root))
    states = {f.path: f.state for f in cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).files}
    assert states["model.safetensors"] is LinkState.OUTSIDE


@pytest.mark.parametrize(
    "content",
    [
        '{"format_version": 1, "files": {"a": {"size": 1e999, "blob_id": "x"}}}',
        "",
        "[]",
        '{"format_version": 2, "files": {}}',
        '{"format_version": 1}',
        "\udcff",
    ],
)
def test_a_listing_that_cannot_be_read_counts_as_absent(root: Path, content: str) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "trees").mkdir()
    (root / FOLDER / "trees" / f"{FIRST}.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    cache = HfCache(str(root))
    assert cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).listing is None


@pytest.mark.parametrize(
    "removal",
    [
        Removal("models--org--m/../../victim", (), (), (), 0),
        Removal("../victim", (), (), (), 0),
        Removal("victim", (), (), (), 0),
        Removal(FOLDER, ("../../victim",), (FIRST,), (), 0),
        Removal(FOLDER, (), (FIRST,), ("../../../victim",), 0),
        Removal(FOLDER, (), ("..",), (), 0),
    ],
)
def test_no_removal_reaches_outside_the_model(root: Path, removal: Removal) -> None:
    write_cache(root, [two_revisions()])
    (root / "victim").mkdir()
    (root.parent / "victim").mkdir()
    with pytest.raises(ValidationError):
        HfCache(str(root)).remove(removal)
    assert (root / "victim").is_dir()
    assert (root.parent / "victim").is_dir()
    assert (root / FOLDER / "snapshots" / FIRST).is_dir()


def test_a_model_folder_that_is_a_link_is_not_followed_into_deletion(root: Path, tmp_path: Path) -> None:
    elsewhere = write_cache(tmp_path / "elsewhere", [two_revisions()]) / FOLDER
    root.mkdir()
    (root / FOLDER).symlink_to(elsewhere)
    cache = HfCache(str(root))
    assert cache.repo(FOLDER).is_link
    with pytest.raises(AccessProblem, match="is a link"):
        cache.remove(WHOLE)
    with pytest.raises(AccessProblem, match="is a link"):
        cache.install(delivery({"config.json": b"{}"}), unwatched)
    assert (elsewhere / "snapshots" / FIRST / "config.json").read_bytes() == b"{}"


def test_a_removed_model_takes_its_stale_locks_along_and_leaves_no_trash(root: Path) -> None:
    other = healthy_model("org/model-LARGE")
    write_cache(root, [two_revisions(), other])
    for folder in (FOLDER, other.folder):
        (root / ".locks" / folder).mkdir(parents=True)
        (root / ".locks" / folder / "x.lock").write_text("")
    HfCache(str(root)).remove(WHOLE)
    assert not (root / FOLDER).exists()
    assert not (root / ".locks" / FOLDER).exists()
    assert (root / ".locks" / other.folder / "x.lock").exists()
    assert [path.name for path in (root / ".locks").iterdir() if path.is_dir()] == [other.folder]


def test_the_trash_of_an_interrupted_deletion_is_swept_by_the_next_one(root: Path) -> None:
    write_cache(root, [two_revisions()])
    left = root / ".locks" / ".mlxk2-trash" / "0123" / "models--org--gone" / "blobs"
    left.mkdir(parents=True)
    (left / "blob").write_text("bytes")
    HfCache(str(root)).remove(WHOLE)
    assert not (root / ".locks" / ".mlxk2-trash").exists()


def test_the_shared_payload_goes_with_its_last_user_only(root: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    one, two = (
        StoredModel(f"models--org--{name}", {FIRST: StoredRevision({"model.safetensors": stored})}, {}) for name in "ab"
    )
    write_cache(root, [one, two])
    xet_hash = stored.etag[::-1]
    payload = root / "blobs" / xet_hash[:2] / xet_hash
    cache = HfCache(str(root))
    cache.remove(Removal(one.folder, (), (), (), 0))
    assert payload.read_bytes() == b"payload"
    cache.remove(Removal(two.folder, (), (), (), 0))
    assert not payload.exists()
    assert not payload.with_name(f"{xet_hash}.refs").exists()


def test_a_payload_whose_other_user_cannot_be_looked_at_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    models = [StoredModel(f"models--org--{n}", {FIRST: StoredRevision({"w": stored})}, {}) for n in ("a", "b")]
    write_cache(root, models)
    real = os.readlink

    def refuse(path: str) -> str:
        if "models--org--b" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "readlink", refuse)
    HfCache(str(root)).remove(Removal("models--org--a", (), (), (), 0))
    monkeypatch.undo()
    xet_hash = stored.etag[::-1]
    assert (root / "blobs" / xet_hash[:2] / xet_hash).read_bytes() == b"payload"


def test_a_linked_folder_of_the_shared_store_is_not_followed(root: Path, tmp_path: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    write_cache(root, [StoredModel(FOLDER, {FIRST: StoredRevision({"w": stored})}, {})])
    prefix = root / "blobs" / stored.etag[::-1][:2]
    prefix.rename(tmp_path / "outside")
    prefix.symlink_to(tmp_path / "outside")
    before = sorted((tmp_path / "outside").iterdir())
    HfCache(str(root)).remove(WHOLE)
    assert sorted((tmp_path / "outside").iterdir()) == before


def test_a_folder_of_any_depth_is_deleted(root: Path) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "snapshots" / FIRST).joinpath(*["d"] * 400).mkdir(parents=True)
    cache = HfCache(str(root))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert cache.freed_bytes(WHOLE) == 2 + 4 + 27 + 2 * 40
        cache.remove(WHOLE)
    finally:
        sys.setrecursionlimit(limit)
    assert [path.name for path in (root / ".locks").iterdir()] == [".mlxk2-trash.lock"]


def test_a_revision_that_cannot_be_moved_gets_its_refs_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cache(root, [two_revisions()])
    real = os.rename

    def refuse(source: str, target: str) -> None:
        if str(source).endswith(f"snapshots/{FIRST}"):
            raise PermissionError(13, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(AccessProblem, match="permission denied"):
        HfCache(str(root)).remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
    assert (root / FOLDER / "refs" / "v1").read_text() == FIRST
    assert (root / FOLDER / "snapshots" / FIRST / "config.json").exists()


def test_a_revision_that_another_reaches_through_stays(root: Path) -> None:
    write_cache(root, [two_revisions()])
    link = root / FOLDER / "snapshots" / SECOND / "config.json"
    link.unlink()
    link.symlink_to(f"../{FIRST}/config.json")
    with pytest.raises(AccessProblem, match="uses files of this one"):
        HfCache(str(root)).remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
    assert link.read_bytes() == b"{}"


def test_an_absolute_link_to_a_blob_in_the_shared_store_is_a_file(root: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    write_cache(root, [with_files(two_revisions(), {"model.safetensors": stored})])
    link = root / FOLDER / "snapshots" / FIRST / "model.safetensors"
    link.unlink()
    link.symlink_to(root / FOLDER / "blobs" / stored.etag)
    cache = HfCache(str(root))
    states = {f.path: (f.state, f.size) for f in cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL).files}
    assert states["model.safetensors"] == (LinkState.FILE, 7)


def test_a_payload_without_a_manifest_is_kept(root: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    model = StoredModel(FOLDER, {FIRST: StoredRevision({"model.safetensors": stored})}, {})
    write_cache(root, [model])
    xet_hash = stored.etag[::-1]
    payload = root / "blobs" / xet_hash[:2] / xet_hash
    payload.with_name(f"{xet_hash}.refs").unlink()
    cache = HfCache(str(root))
    assert cache.freed_bytes(WHOLE) == 0
    cache.remove(WHOLE)
    assert payload.exists()


KILLED_REMOVAL = """
import os, shutil, sys
from mlxk2.adapters.hfcache import HfCache
from mlxk2.ports.cache import Removal
def stop(*_, **__):
    os.kill(os.getpid(), 9)
{patch}
HfCache(sys.argv[1]).remove(Removal({folder!r}, {refs!r}, {commits!r}, {blobs!r}, 0))
"""


def killed(root: Path, patch: str, removal: Removal) -> None:
    """Run a deletion in a process that is killed where `patch` says."""
    code = KILLED_REMOVAL.format(
        patch=patch, folder=removal.folder, refs=removal.refs, commits=removal.commits, blobs=removal.blobs
    )
    result = subprocess.run([sys.executable, "-c", code, str(root)], check=False)
    assert result.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("patch", "whole"),
    [
        ("os.rename = stop", True),
        ("from mlxk2.adapters.hfcache import trash; trash.delete_tree = stop", False),
    ],
    ids=["before the rename", "after the rename"],
)
def test_a_kill_during_deletion_leaves_a_whole_model_or_none(root: Path, patch: str, *, whole: bool) -> None:
    write_cache(root, [two_revisions()])
    killed(root, patch, WHOLE)
    cache = HfCache(str(root))
    assert cache.folders() == ([FOLDER] if whole else [])
    if whole:
        assert len(cache.repo(FOLDER).blobs) == 3
    cache.install(delivery({"config.json": b"{}"})._replace(folder="models--org--other"), unwatched)
    cache.remove(Removal("models--org--other", (), (), (), 0))
    assert not (root / ".locks" / ".mlxk2-trash").exists()


def test_a_kill_while_a_revision_goes_leaves_at_most_unused_blobs(root: Path) -> None:
    write_cache(root, [two_revisions()])
    blob = two_revisions().revisions[FIRST].files["model.safetensors"].etag
    patch = "real = os.rename\nos.rename = lambda a, b: stop() if 'blobs' in a else real(a, b)"
    killed(root, patch, Removal(FOLDER, ("v1",), (FIRST,), (blob,), 0))
    repo = HfCache(str(root)).repo(FOLDER)
    assert repo.refs.keys() == {"main"}
    assert len(repo.snapshots) == 1
    assert blob in repo.blobs


def test_a_kill_before_shared_payloads_are_released_is_made_good_by_the_next_deletion(root: Path) -> None:
    stored = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    model = StoredModel(FOLDER, {FIRST: StoredRevision({"model.safetensors": stored})}, {})
    write_cache(root, [model, healthy_model("org/other")])
    killed(root, "from mlxk2.adapters.hfcache import shared_store\nshared_store.release = stop", WHOLE)
    xet_hash = stored.etag[::-1]
    payload = root / "blobs" / xet_hash[:2] / xet_hash
    assert payload.exists()
    HfCache(str(root)).remove(Removal("models--org--other", (), (), (), 0))
    assert not payload.exists()
    assert not (root / ".locks" / ".mlxk2-trash").exists()


@pytest.mark.parametrize("part", ["blobs", "snapshots", "refs"])
def test_a_part_of_a_model_that_is_a_link_is_neither_read_nor_changed(root: Path, tmp_path: Path, part: str) -> None:
    write_cache(root, [two_revisions()])
    outside = tmp_path / "outside"
    (root / FOLDER / part).rename(outside)
    (root / FOLDER / part).symlink_to(outside)
    before = sorted(path for path in outside.rglob("*"))
    cache = HfCache(str(root))
    repo = cache.repo(FOLDER)
    assert repo.problem == f"{part} is a link that leaves the model's folder"
    assert (repo.snapshots, repo.refs) == ((), {})
    blob = two_revisions().revisions[FIRST].files["model.safetensors"].etag
    for removal in (WHOLE, Removal(FOLDER, ("v1",), (FIRST,), (blob,), 0)):
        with pytest.raises(AccessProblem, match="is a link to another place"):
            cache.remove(removal)
    with pytest.raises(AccessProblem, match="is a link to another place"):
        cache.install(delivery({"config.json": b"{}"}), unwatched)
    assert sorted(path for path in outside.rglob("*")) == before


@pytest.mark.parametrize("place", [".locks", f".locks/{FOLDER}", ".locks/.mlxk2-trash"])
def test_a_lock_folder_that_is_a_link_stops_every_change(root: Path, tmp_path: Path, place: str) -> None:
    write_cache(root, [two_revisions()])
    victim = tmp_path / "victim"
    (victim / FOLDER).mkdir(parents=True)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(victim)
    with pytest.raises(AccessProblem, match="is a link to another place"):
        HfCache(str(root)).remove(WHOLE)
    assert (victim / FOLDER).is_dir()
    assert (root / FOLDER / "snapshots" / FIRST).is_dir()


def test_a_blob_that_another_snapshot_uses_stays_whatever_the_plan_says(root: Path) -> None:
    write_cache(root, [two_revisions()])
    shared = two_revisions().revisions[FIRST].files["config.json"].etag
    cache = HfCache(str(root))
    cache.remove(Removal(FOLDER, (), (FIRST,), (shared,), 0))
    assert (root / FOLDER / "snapshots" / SECOND / "config.json").read_bytes() == b"{}"


def test_a_revision_is_not_deleted_while_another_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cache(root, [two_revisions()])
    real = os.scandir

    def refuse(path: str) -> object:
        if SECOND in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AccessProblem, match="permission denied"):
        HfCache(str(root)).remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
    monkeypatch.undo()
    assert (root / FOLDER / "refs" / "v1").exists()
    assert (root / FOLDER / "snapshots" / FIRST).is_dir()


def test_a_revision_in_a_folder_that_may_not_be_written_keeps_its_ref(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cache(root, [two_revisions()])
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("snapshots"))
    with pytest.raises(AccessProblem, match="may not be written; nothing was deleted"):
        HfCache(str(root)).remove(Removal(FOLDER, ("v1",), (FIRST,), (), 0))
    assert (root / FOLDER / "refs" / "v1").exists()


def test_pipes_and_deep_folders_do_not_trap_the_reader(root: Path) -> None:
    write_cache(root, [two_revisions()])
    (root / FOLDER / "trees").mkdir()
    os.mkfifo(root / FOLDER / "trees" / f"{FIRST}.json")
    (root / FOLDER / "snapshots" / FIRST).joinpath(*["d"] * 400).mkdir(parents=True)
    cache = HfCache(str(root))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        facts = cache.snapshot(cache.repo(FOLDER), FIRST, READ_ALL)
    finally:
        sys.setrecursionlimit(limit)
    assert facts.listing is None
    assert [file.path for file in facts.files if file.state is LinkState.FILE] == ["config.json", "model.safetensors"]


def test_a_model_folder_that_is_a_dangling_link_is_reported(root: Path) -> None:
    root.mkdir()
    (root / FOLDER).symlink_to(root / "nowhere")
    cache = HfCache(str(root))
    assert cache.folders() == [FOLDER]
    assert cache.repo(FOLDER).problem == "the folder cannot be read: no such file or directory"


def test_what_is_installed_is_what_huggingface_hub_reads(root: Path) -> None:
    weights = safetensors()
    files = {"config.json": b"{}", "sub/notes.txt": b"n", "model.safetensors": weights}
    HfCache(str(root)).install(delivery(files), unwatched)
    info = huggingface_hub.scan_cache_dir(root)
    assert not info.warnings
    (repo,) = info.repos
    (revision,) = repo.revisions
    assert (repo.repo_id, revision.commit_hash, list(revision.refs)) == ("org/model", FIRST, ["main"])
    assert {file.file_name for file in revision.files} == {"config.json", "notes.txt", "model.safetensors"}
    path = huggingface_hub.snapshot_download("org/model", cache_dir=root, local_files_only=True)
    assert Path(path, "sub", "notes.txt").read_text() == "n"
    assert huggingface_hub.try_to_load_from_cache("org/model", "config.json", cache_dir=root) is not None
    assert (root / FOLDER / "refs" / "main").read_bytes() == FIRST.encode()
    assert os.readlink(root / FOLDER / "snapshots" / FIRST / "sub" / "notes.txt").startswith("../../../blobs/")
    tree = json.loads((root / FOLDER / "trees" / f"{FIRST}.json").read_text())
    assert tree["files"]["model.safetensors"]["lfs_size"] == len(weights)


def test_a_damaged_blob_is_fetched_again_and_a_good_one_is_not(root: Path) -> None:
    cache = HfCache(str(root))
    wanted = delivery({"config.json": b"{}", "model.safetensors": b"weights"})
    cache.install(wanted, unwatched)
    blob = root / FOLDER / "blobs" / wanted.files[1].etag
    blob.write_bytes(b"weighty")
    assert cache.install(wanted, unwatched) == 7
    assert blob.read_bytes() == b"weights"
    assert cache.install(wanted, unwatched) == 0


def test_content_that_does_not_match_its_hash_leaves_no_blob_and_no_partial_file(root: Path) -> None:
    wrong = delivery({"config.json": b"{}"}, served={"config.json": b"[]"})
    with pytest.raises(DownloadFailed, match=r"config\.json arrived damaged twice"):
        HfCache(str(root)).install(wrong, unwatched)
    assert list((root / FOLDER / "blobs").iterdir()) == []


def test_installing_waits_for_whoever_downloads_the_same_blob(root: Path) -> None:
    wanted = delivery({"config.json": b"{}"})
    etag = wanted.files[0].etag
    code = (
        "import sys, time\nfrom mlxk2.adapters.hfcache.locks import lock\n"
        "with lock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
        "    open(sys.argv[2], 'w').write('released')\n"
    )
    lock = root / ".locks" / FOLDER / f"{etag}.lock"
    mark = root.parent / "mark"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock), str(mark)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        (root / FOLDER).mkdir()
        assert HfCache(str(root)).repo(FOLDER).held_locks == {etag}

        def release(event: Event) -> None:
            if isinstance(event, Waiting) and holder.stdin:
                assert event.what == "config.json"
                holder.stdin.write("go\n")
                holder.stdin.flush()

        HfCache(str(root)).install(wanted, release)
        assert mark.read_text() == "released"


def test_a_full_disk_is_reported_and_leaves_no_half_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull, match="disk is full"):
        HfCache(str(root)).install(delivery({"config.json": b"{}"}), unwatched)
    assert all(path.name.endswith(".incomplete") for path in (root / FOLDER / "blobs").iterdir())
    monkeypatch.undo()
    assert HfCache(str(root)).install(delivery({"config.json": b"{}"}), unwatched) == 2


def test_last_modified_is_the_newest_blob_and_not_the_clock(root: Path) -> None:
    write_cache(root, [two_revisions()])
    repo = HfCache(str(root)).repo(FOLDER)
    assert repo.modified == two_revisions().modified < time.time() - 1000
